/** What the database shows of a worker at one moment. */
export interface WorkerSign {
  readonly number: number
  /** Differs after each renewal of the worker's lease; null where it has none. */
  readonly renewal: string | null
  /** How long its lease holds without a renewal; null where it has none. */
  readonly leaseMs: number | null
  /** Whether the worker's session is there: its advisory lock is held. */
  readonly isLocked: boolean
}

export interface WorkerLivenessOptions {
  /** A worker without a session for this long is dead. One whose connection was cut has a new session earlier. */
  readonly graceMs: number
  /** Time between two looks. A longer pause counts as two of them, because whoever looks may have been suspended, and everybody else with it. */
  readonly intervalMs: number
  /** A monotonic clock. */
  readonly nowMs: () => number
}

/** After an outage of the database, the others need time to make their sessions again. */
const SETTLE_MS = 2500

/**
 * Tells which workers are dead, by this process's own monotonic clock alone: clocks of other machines step and differ, so a moment that
 * another machine wrote says nothing. Only time in which this process was awake and saw no sign of life counts.
 */
export class WorkerLiveness {
  readonly #options: WorkerLivenessOptions
  readonly #seen = new Map<number, { renewal: string | null; unrenewedMs: number; unlockedMs: number }>()
  #lastLookMs: number | undefined
  #settledAtMs = 0

  constructor(options: WorkerLivenessOptions) {
    this.#options = options
  }

  /** The database was away: whatever was seen before says nothing now. */
  interrupted(): void {
    if (this.#lastLookMs === undefined) return
    this.#seen.clear()
    this.#lastLookMs = undefined
    this.#settledAtMs = this.#options.nowMs() + SETTLE_MS
  }

  /**
   * Takes in one look at the database.
   * @param signs one for each worker that has a lease or a claim
   * @returns the numbers of those that are dead
   */
  observe(signs: readonly WorkerSign[]): number[] {
    const { graceMs, intervalMs, nowMs } = this.#options
    const now = nowMs()
    const elapsedMs = Math.min(now - (this.#lastLookMs ?? now), 2 * intervalMs)
    this.#lastLookMs = now
    this.#forgetAllBut(signs)
    return signs
      .filter(({ number, renewal, leaseMs, isLocked }) => {
        const seen = this.#seen.get(number)
        const isRenewed = seen?.renewal !== renewal
        const unrenewedMs = seen && !isRenewed ? seen.unrenewedMs + elapsedMs : 0
        const unlockedMs = seen && !isRenewed && !isLocked ? seen.unlockedMs + elapsedMs : 0
        this.#seen.set(number, { renewal, unrenewedMs, unlockedMs })
        return (leaseMs !== null && unrenewedMs >= leaseMs) || (unlockedMs >= graceMs && now >= this.#settledAtMs)
      })
      .map(({ number }) => number)
  }

  #forgetAllBut(signs: readonly WorkerSign[]): void {
    const present = new Set(signs.map(({ number }) => number))
    for (const number of this.#seen.keys()) if (!present.has(number)) this.#seen.delete(number)
  }
}
