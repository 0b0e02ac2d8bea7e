import { Prisma } from '#prisma'
import type { CallbackState } from '../../domain/callback.ts'
import type { Change } from '../../domain/steering/change.ts'
import type { Operation, OperationFilter, OperationPosition, OperationState } from '../../domain/steering/operation.ts'

/** A row of `operations` as JSON. */
export interface OperationRow {
  readonly id: string
  readonly workspace: string
  readonly change: Change
  readonly filter: StoredFilter
  readonly dry_run: boolean
  readonly rate_per_second: number | null
  readonly state: OperationState
  /** The last callback that it looked at in its present state. */
  readonly position: string | null
  readonly matched: number
  readonly done: number
  readonly skipped: number
  /** It looks only at callbacks received before this time. */
  readonly horizon: string
  readonly created_at: string
  readonly finished_at: string | null
  readonly created_us: string
}

/** JSON has no 64-bit integers and no times. */
interface StoredFilter {
  readonly state?: CallbackState
  readonly reason?: string
  readonly object_id?: string
  readonly received_after?: string
  readonly received_before?: string
}

/** The operation `o` as JSON. */
export const OPERATION = Prisma.raw(
  `(to_jsonb(o) || jsonb_build_object('created_us', (extract(epoch FROM o.created_at) * 1000000)::bigint::text))`,
)

export interface ListedOperation extends Operation {
  readonly position: OperationPosition
}

export function operationOf(row: OperationRow): ListedOperation {
  return {
    id: row.id,
    workspace: row.workspace,
    change: row.change,
    filter: filterOf(row.filter),
    isDryRun: row.dry_run,
    ratePerSecond: row.rate_per_second,
    state: row.state,
    matched: row.matched,
    done: row.done,
    skipped: row.skipped,
    createdAt: new Date(row.created_at),
    finishedAt: row.finished_at === null ? null : new Date(row.finished_at),
    position: { createdUs: row.created_us, id: row.id },
  }
}

export function storedFilter({ state, reason, objectId, receivedAfter, receivedBefore }: OperationFilter): StoredFilter {
  return {
    ...(state !== undefined && { state }),
    ...(reason !== undefined && { reason }),
    ...(objectId !== undefined && { object_id: objectId.toString() }),
    ...(receivedAfter && { received_after: receivedAfter.toISOString() }),
    ...(receivedBefore && { received_before: receivedBefore.toISOString() }),
  }
}

function filterOf({ state, reason, object_id, received_after, received_before }: StoredFilter): OperationFilter {
  return {
    state,
    reason,
    objectId: object_id === undefined ? undefined : BigInt(object_id),
    receivedAfter: received_after === undefined ? undefined : new Date(received_after),
    receivedBefore: received_before === undefined ? undefined : new Date(received_before),
  }
}
