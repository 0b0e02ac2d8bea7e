import { MINUTE_MS } from './ledger.ts'

/** How often POSTs of a workspace got an outcome in one minute, as one process has counted. */
export interface AnswerTotal {
  readonly workspace: string
  /** The start of the minute, in epoch milliseconds by the database's clock. */
  readonly minuteMs: number
  /** `replayed`, or the code of a problem. */
  readonly outcome: string
  readonly count: number
}

interface Counted extends AnswerTotal {
  count: number
  written: number
  readonly notedAtMs: number
}

/** A process writes no total after this time, so that others may add the totals of such a minute up. */
export const KEPT_MS = 3_600_000
/** Nobody counts in a minute any more when its first answer is this old, unless the clock goes back. */
const MINUTE_OVER_MS = 2 * MINUTE_MS
const MAX_TOTALS = 20_000

/**
 * Counts, in memory, the answers that leave no row. A total whose write failed, or perhaps failed, stays for an hour, so that it is written again.
 * One that is written goes when its minute is over. Memory is bounded: what does not fit is lost, and `takeLost` says how much.
 */
export class AnswerCounts {
  readonly #nowMs: () => number
  readonly #totals = new Map<string, Counted>()
  #lost = 0

  /** @param nowMs a monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** @param atMs when the answer was given, in epoch milliseconds by the database's clock */
  note(workspace: string, outcome: string, atMs: number): void {
    const minuteMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS
    const key = keyOf({ workspace, outcome, minuteMs })
    const known = this.#totals.get(key)
    if (known) known.count += 1
    else if (this.#totals.size >= MAX_TOTALS) this.#lost += 1
    else this.#totals.set(key, { workspace, minuteMs, outcome, count: 1, written: 0, notedAtMs: this.#nowMs() })
  }

  /** Returns at most `limit` totals that have grown since they were written, and forgets those that nobody needs any more. */
  unwritten(limit: number): AnswerTotal[] {
    const found: AnswerTotal[] = []
    for (const [key, total] of this.#totals) {
      const ageMs = this.#nowMs() - total.notedAtMs
      const isWritten = total.count === total.written
      if (ageMs > (isWritten ? MINUTE_OVER_MS : KEPT_MS)) this.#forget(key, total)
      else if (!isWritten && found.length < limit) found.push({ ...total })
    }
    return found.toSorted((a, b) => compare(keyOf(a), keyOf(b)))
  }

  /** Notes that these totals are in the database. */
  written(totals: readonly AnswerTotal[]): void {
    for (const total of totals) {
      const known = this.#totals.get(keyOf(total))
      if (known) known.written = Math.max(known.written, total.count)
    }
  }

  /** Returns the number of answers lost since the last call. */
  takeLost(): number {
    const lost = this.#lost
    this.#lost = 0
    return lost
  }

  #forget(key: string, { count, written }: Counted): void {
    this.#lost += count - written
    this.#totals.delete(key)
  }
}

function keyOf({ workspace, outcome, minuteMs }: Omit<AnswerTotal, 'count'>): string {
  return `${workspace} ${outcome} ${minuteMs}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
