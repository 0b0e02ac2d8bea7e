const SPAN_MS = 10_000

/**
 * Measures a rate over about the last 10 s, in constant memory: it counts in spans of 10 s, and takes from the span before the part that is
 * not older.
 */
export class RecentRate {
  #spanAtMs = Number.NEGATIVE_INFINITY
  #count = 0
  #before = 0

  /** @param nowMs of a monotonic clock */
  count(nowMs: number): void {
    this.#moveTo(nowMs)
    this.#count += 1
  }

  perSecond(nowMs: number): number {
    this.#moveTo(nowMs)
    const part = (nowMs - this.#spanAtMs) / SPAN_MS
    return (this.#count + this.#before * (1 - part)) / (SPAN_MS / 1000)
  }

  #moveTo(nowMs: number): void {
    const passed = Math.floor((nowMs - this.#spanAtMs) / SPAN_MS)
    if (passed < 1) return
    this.#before = passed === 1 ? this.#count : 0
    this.#count = 0
    this.#spanAtMs = Number.isFinite(this.#spanAtMs) ? this.#spanAtMs + passed * SPAN_MS : nowMs
  }
}
