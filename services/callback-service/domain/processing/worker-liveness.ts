/** What the database shows of a worker at one moment. */
export interface WorkerSign {
  readonly number: number
  /** Changes with each renewal of the worker's lease; null if it has no lease. */
  readonly renewal: string | null
  /** How long the worker's lease lasts without a renewal; null if it has no lease. */
  readonly leaseMs: number | null
  /** Whether the worker has a session, which means that it holds its advisory lock. */
  readonly isLocked: boolean
}

export interface WorkerLivenessOptions {
  /** A worker without a session for this long is dead. A worker whose connection was cut gets a new session sooner. */
  readonly graceMs: number
  /** Time between two looks. A longer pause counts as at most two of them, because all processes may have been suspended together. */
  readonly intervalMs: number
  /** A monotonic clock. */
  readonly nowMs: () => number
}

/** The time that workers need to get their sessions back after an outage of the database. */
const SETTLE_MS = 2500

/**
 * Decides which workers are dead, by this process's own monotonic clock alone. Clocks of other machines step and differ, so a time that
 * another machine wrote proves nothing. Only time counts in which this process was awake and saw no sign of life.
 */
export class WorkerLiveness {
  readonly #options: WorkerLivenessOptions
  readonly #seen = new Map<number, { renewal: string | null; unrenewedMs: number; unlockedMs: number }>()
  #lastLookMs: number | undefined
  #settledAtMs = 0
  #dead: ReadonlySet<number> = new Set()
  #living: ReadonlySet<number> = new Set()

  constructor(options: WorkerLivenessOptions) {
    this.#options = options
  }

  /** The database was away. Forgets all earlier signs, because they prove nothing now. */
  interrupted(): void {
    if (this.#lastLookMs === undefined) return
    this.#seen.clear()
    this.#lastLookMs = undefined
    this.#settledAtMs = this.#options.nowMs() + SETTLE_MS
  }

  /**
   * Judges the workers after one look at the database.
   * @param signs one for each worker that has a lease or a claim
   * @returns the numbers of the dead workers
   */
  observe(signs: readonly WorkerSign[]): number[] {
    const { graceMs, intervalMs, nowMs } = this.#options
    const now = nowMs()
    const elapsedMs = Math.min(now - (this.#lastLookMs ?? now), 2 * intervalMs)
    this.#lastLookMs = now
    this.#forgetAllBut(signs)
    const dead = signs
      .filter(({ number, renewal, leaseMs, isLocked }) => {
        const seen = this.#seen.get(number)
        const isRenewed = seen?.renewal !== renewal
        const unrenewedMs = seen && !isRenewed ? seen.unrenewedMs + elapsedMs : 0
        const unlockedMs = seen && !isRenewed && !isLocked ? seen.unlockedMs + elapsedMs : 0
        this.#seen.set(number, { renewal, unrenewedMs, unlockedMs })
        return (leaseMs !== null && unrenewedMs >= leaseMs) || (unlockedMs >= graceMs && now >= this.#settledAtMs)
      })
      .map(({ number }) => number)
    this.#dead = new Set(dead)
    return dead
  }

  /**
   * Counts the workers that live. Call it with the signs of each look. A hung worker keeps its session, but counts only until its lease ends.
   * A worker that just lost its session counts until it is dead, because all lose theirs when Postgres restarts.
   */
  countLiving(signs: readonly WorkerSign[]): number {
    const living = signs.filter(({ number, isLocked }) => !this.#dead.has(number) && (isLocked || this.#living.has(number)))
    this.#living = new Set(living.map(({ number }) => number))
    return living.length
  }

  #forgetAllBut(signs: readonly WorkerSign[]): void {
    const present = new Set(signs.map(({ number }) => number))
    for (const number of this.#seen.keys()) if (!present.has(number)) this.#seen.delete(number)
  }
}
