/** The waiting callbacks of a workspace that a flush cancels. */
export interface Flushable {
  /** Cancels up to `limit` callbacks and skips those that others have locked. @returns how many it cancelled */
  cancelSome(limit: number): Promise<number>
  isAnyLeft(): Promise<boolean>
}

interface FlushTime {
  readonly maxMs: number
  /** Whether the service stops. */
  readonly isOver: () => boolean
  readonly nowMs: () => number
  readonly rest: (ms: number) => Promise<void>
}

const BATCH = 2000
/** Time that a lock of another statement usually lasts. */
const REST_MS = 20

/**
 * Cancels waiting callbacks in batches, until none is left or the time is over. Each batch is a transaction of its own, so that it holds up
 * nobody, and a process that dies leaves the rest as it was.
 * @returns whether none is left
 */
export async function flush(waiting: Flushable, { maxMs, isOver, nowMs, rest }: FlushTime): Promise<boolean> {
  const endMs = nowMs() + maxMs
  while (nowMs() < endMs && !isOver()) {
    const count = await waiting.cancelSome(BATCH)
    if (count === BATCH) continue
    if (!(await waiting.isAnyLeft())) return true
    await rest(REST_MS)
  }
  return false
}
