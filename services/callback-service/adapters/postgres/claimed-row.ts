import type { ObjectId } from '#fetching/object-id.ts'
import type { ClaimedCallback, Unstored, Verdict } from '../../domain/processing/claimed-callback.ts'
import { attemptEntry } from './timeline-entry.ts'

/** The columns that a claim returns for a row of `callbacks`. */
export interface ClaimedRow {
  readonly id: string
  readonly workspace: string
  readonly attempts: number
  readonly crashes: number
  readonly object_ids: string
  readonly unstored: unknown
  readonly fresh_ids: string | null
  readonly request_id: string | null
  readonly traceparent: string | null
  readonly tracestate: string | null
  readonly baggage: string | null
  /** When it was accepted, or when its current round began. */
  readonly received_ms: number
  readonly now_ms: number
}

/** When and under which token a row was claimed. Both times are by this process's monotonic clock. */
interface Claim {
  readonly token: string
  readonly claimedAtMs: number
  /** When this process last noticed a step of the database's clock. */
  readonly steppedAtMs: number
}

/** Turns a claimed row into the callback that the domain works on, with its missing objects and its final outcomes. */
export function claimedCallback(row: ClaimedRow, { token, claimedAtMs, steppedAtMs }: Claim): ClaimedCallback {
  const earlier = row.unstored === null ? undefined : parseUnstored(row.unstored)
  const open = earlier?.filter(object => object.outcome === 'pending').map(object => object.id) ?? parseIds(row.object_ids)
  // If the clock has gone back since the callback came, its time of receipt lies in the future.
  const waitedMs = Math.max(0, row.now_ms - row.received_ms)
  const fresh = new Set(parseIds(row.fresh_ids ?? '{}'))
  return {
    id: row.id,
    workspace: row.workspace,
    token,
    attempt: row.attempts - row.crashes,
    crashes: row.crashes,
    missingIds: open.filter(id => !fresh.has(id)),
    unstored: earlier?.filter(object => object.outcome !== 'pending') ?? [],
    receivedAtMs: row.received_ms,
    waitedMs,
    // If the clock has stepped since the callback came, its waiting time is unknown. Then only fetches that leave after the step are surely
    // fresh.
    freshFromMs: Math.max(claimedAtMs - waitedMs, steppedAtMs),
    trace: { traceparent: row.traceparent ?? undefined, tracestate: row.tracestate ?? undefined, baggage: row.baggage ?? undefined },
    requestId: row.request_id ?? undefined,
  }
}

/** @param array a bigint[] in Postgres' text format: `{1,2,3}` */
export function parseIds(array: string): ObjectId[] {
  return array === '{}' ? [] : array.slice(1, -1).split(',').map(BigInt)
}

/** How one callback leaves its worker. */
export interface Settlement {
  readonly callback: ClaimedCallback
  readonly verdict: Verdict
  /** Undefined if this process no longer works on it, or an agent does. */
  readonly workerNumber: number | undefined
  /** Undefined if no agent has it. */
  readonly agent?: {
    readonly name: string
    /** Number of objects delivered when the verdict was made. If there are more now, the verdict is void. */
    readonly delivered: number
  }
}

/** Turns a verdict into the JSON that the settling statement reads. @param nowMs the time of the database's clock */
export function settlement({ callback, verdict, workerNumber, agent }: Settlement, nowMs: number): object {
  const isPending = verdict.state === 'pending'
  return {
    id: callback.id,
    token: callback.token,
    state: verdict.state,
    // Ids are strings, because most JSON readers lose digits of a number beyond 2^53.
    unstored: verdict.unstored.map(object => ({ ...object, id: String(object.id) })),
    delay_ms: isPending ? verdict.delayMs : 0,
    refund: isPending && !verdict.isCharged ? 1 : 0,
    ...(agent && {
      seen: agent.delivered,
      brings: verdict.unstored.slice(callback.unstored.length).some(({ outcome }) => outcome !== 'pending'),
    }),
    entries: [
      {
        at: Math.floor(nowMs),
        ...(agent ? { agent: agent.name } : { worker: workerNumber }),
        state: verdict.state,
        ...attemptEntry(callback, verdict),
      },
    ],
  }
}

/** Reads the column `unstored`, which `settle` writes. */
export function parseUnstored(column: unknown): Unstored[] {
  return (column as { id: string; outcome: Unstored['outcome']; reason?: string }[]).map(object => ({ ...object, id: BigInt(object.id) }))
}
