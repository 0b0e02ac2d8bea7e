import type { WrittenId } from '#fetching/object-id.ts'
import type { TraceCarrier } from '#foundation/telemetry/spans.ts'
import { scopedKey } from '../domain/accepting/idempotency-key.ts'
import { keyedCallbackId, newCallbackId } from './callback-id.ts'

/** A callback as the API received it. */
export interface ReceivedCallback {
  readonly workspace: string
  readonly objectIds: readonly WrittenId[]
  readonly idempotencyKey: string | undefined
  readonly requestId: string | undefined
  readonly trace: TraceCarrier
}

/**
 * A received callback with its id. `objectIds` is an exact Postgres array literal, because the id, the inbox and the spool need that text.
 */
export interface NewCallback extends Omit<ReceivedCallback, 'objectIds'> {
  readonly id: string
  readonly objectIds: string
}

/** The columns of a callback, the same in the inbox and in the spool. */
export interface CallbackColumns {
  readonly id: string
  readonly workspace: string
  readonly object_ids: string
  readonly idempotency_key: string | undefined
  readonly request_id: string | undefined
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  readonly baggage?: string | undefined
}

export function newCallback({ workspace, objectIds: ids, idempotencyKey, requestId, trace }: ReceivedCallback): NewCallback {
  const objectIds = `{${ids.join(',')}}`
  const id = idempotencyKey === undefined ? newCallbackId() : keyedCallbackId(scopedKey(workspace, idempotencyKey), objectIds)
  return { id, workspace, objectIds, idempotencyKey, requestId, trace }
}

export function columns({ id, workspace, objectIds, idempotencyKey, requestId, trace }: NewCallback): CallbackColumns {
  return { id, workspace, object_ids: objectIds, idempotency_key: idempotencyKey, request_id: requestId, ...trace }
}
