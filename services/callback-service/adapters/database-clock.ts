/** The fastest answer tells the time best; 1 % of a slower one is let in each time, so that drifting clocks are followed. */
const FOLLOW = 0.01

/**
 * The database's clock, read between statements: never ahead of it, never going back, behind by no more than about the time an answer
 * takes. Epoch milliseconds.
 */
export class DatabaseClock {
  #offsetMs: number | undefined
  #lastMs = 0

  /** @param databaseMs what the database said the time was, in an answer that has just come */
  observe(databaseMs: number): void {
    const offset = performance.now() - databaseMs
    if (this.#offsetMs === undefined || offset < this.#offsetMs) this.#offsetMs = offset
    else this.#offsetMs += (offset - this.#offsetMs) * FOLLOW
  }

  /** Before the first observation this machine's clock must do. */
  nowMs(): number {
    if (this.#offsetMs === undefined) return Date.now()
    this.#lastMs = Math.max(this.#lastMs, performance.now() - this.#offsetMs)
    return this.#lastMs
  }
}
