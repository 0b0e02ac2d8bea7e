import type { CallbackView } from '../../domain/callback.ts'
import type { AsideRow, SpooledRow } from './spool-file.ts'

/** A callback that the database refused, as an operator sees it. */
export interface AsideCallback {
  readonly id: string
  readonly workspace: string
  readonly reason: string
  readonly objectIds: readonly bigint[]
  readonly idempotencyKey: string | undefined
  readonly requestId: string | undefined
  readonly traceparent: string | undefined
  readonly receivedAt: Date
}

export function asideOf(row: AsideRow): AsideCallback {
  return {
    id: row.id,
    workspace: row.workspace,
    reason: row.reason,
    objectIds: objectIdsOf(row),
    idempotencyKey: row.idempotency_key ?? undefined,
    requestId: row.request_id ?? undefined,
    traceparent: row.traceparent ?? undefined,
    receivedAt: new Date(row.received_ms),
  }
}

function objectIdsOf({ object_ids }: SpooledRow): bigint[] {
  return object_ids.slice(1, -1).split(',').filter(Boolean).map(BigInt)
}

/** A callback in the spool, as readers see it. */
export function viewOf(row: SpooledRow): CallbackView {
  const receivedAt = new Date(row.received_ms)
  return {
    id: row.id,
    workspace: row.workspace,
    state: 'pending',
    priority: 0,
    wish: null,
    attempts: 0,
    objectIds: objectIdsOf(row),
    unstored: undefined,
    requestId: row.request_id ?? null,
    traceparent: row.traceparent ?? null,
    receivedAt,
    dueAt: receivedAt,
    finishedAt: null,
  }
}
