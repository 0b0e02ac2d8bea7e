import type { ObjectId } from '../../domain/object-id.ts'
import type { ClaimedCallback, Unstored, Verdict } from '../../domain/processing/claimed-callback.ts'

/** What a claim returns of a row of `callbacks`. */
export interface ClaimedRow {
  readonly id: string
  readonly attempts: number
  readonly crashes: number
  readonly object_ids: string
  readonly unstored: unknown
  readonly fresh_ids: string | null
  readonly request_id: string | null
  readonly traceparent: string | null
  readonly tracestate: string | null
  readonly baggage: string | null
  readonly received_ms: number
  readonly now_ms: number
}

/** When and under which token a row was claimed. Moments are those of this process's monotonic clock. */
interface Claim {
  readonly token: string
  readonly claimedAtMs: number
  /** When the database's clock was last seen to step. */
  readonly steppedAtMs: number
}

/** A claimed row as the rules know it: what is still to be fetched, and what is known for good. */
export function claimedCallback(row: ClaimedRow, { token, claimedAtMs, steppedAtMs }: Claim): ClaimedCallback {
  const earlier = row.unstored === null ? undefined : parseUnstored(row.unstored)
  const open = earlier?.filter(object => object.outcome === 'pending').map(object => object.id) ?? parseIds(row.object_ids)
  // The clock may have gone back since the callback came: then it seems to come from the future.
  const waitedMs = Math.max(0, row.now_ms - row.received_ms)
  const fresh = new Set(parseIds(row.fresh_ids ?? '{}'))
  return {
    id: row.id,
    token,
    attempt: row.attempts - row.crashes,
    crashes: row.crashes,
    missingIds: open.filter(id => !fresh.has(id)),
    unstored: earlier?.filter(object => object.outcome !== 'pending') ?? [],
    receivedAtMs: row.received_ms,
    waitedMs,
    // How long it waited is not known if the clock stepped meanwhile: then only what leaves from now on is fresh for certain.
    freshFromMs: Math.max(claimedAtMs - waitedMs, steppedAtMs),
    trace: { traceparent: row.traceparent ?? undefined, tracestate: row.tracestate ?? undefined, baggage: row.baggage ?? undefined },
    requestId: row.request_id ?? undefined,
  }
}

/** @param array a bigint[] as Postgres writes it: `{1,2,3}` */
function parseIds(array: string): ObjectId[] {
  return array === '{}' ? [] : array.slice(1, -1).split(',').map(BigInt)
}

/** A verdict as the statement that settles reads it. */
export function settlement({ callback, verdict }: { callback: ClaimedCallback; verdict: Verdict }): object {
  const isPending = verdict.state === 'pending'
  return {
    id: callback.id,
    token: callback.token,
    state: verdict.state,
    // Ids stand as text: a JSON number beyond 2^53 would not survive most readers.
    unstored: verdict.unstored.map(object => ({ ...object, id: String(object.id) })),
    delay_ms: isPending ? verdict.delayMs : 0,
    refund: isPending && !verdict.isCharged ? 1 : 0,
  }
}

/** Reads the `unstored` column as `settle` writes it. */
export function parseUnstored(column: unknown): Unstored[] {
  return (column as { id: string; outcome: Unstored['outcome']; reason?: string }[]).map(object => ({ ...object, id: BigInt(object.id) }))
}
