import type { TraceCarrier } from '#foundation/telemetry.ts'
import type { WrittenId } from '../domain/object-id.ts'

/** A callback as it comes through the door. */
export interface NewCallback {
  readonly id: string
  readonly objectIds: readonly WrittenId[]
  readonly idempotencyKey: string | undefined
  readonly requestId: string | undefined
  readonly trace: TraceCarrier
}

/** A callback as its columns are written: in the inbox and in the spool alike. `object_ids` in Postgres' notation of arrays, exact. */
export interface CallbackColumns {
  readonly id: string
  readonly object_ids: string
  readonly idempotency_key: string | undefined
  readonly request_id: string | undefined
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  readonly baggage?: string | undefined
}

export function columns({ id, objectIds, idempotencyKey, requestId, trace }: NewCallback): CallbackColumns {
  return { id, object_ids: `{${objectIds.join(',')}}`, idempotency_key: idempotencyKey, request_id: requestId, ...trace }
}
