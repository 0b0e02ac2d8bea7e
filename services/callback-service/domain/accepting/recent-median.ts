const SAMPLES = 31

/** The median of the last 31 values. A median ignores the few callbacks that take much longer than the others. */
export class RecentMedian {
  readonly #ring: number[] = []
  #next = 0
  #median: number | undefined

  add(value: number): void {
    this.#ring[this.#next] = value
    this.#next = (this.#next + 1) % SAMPLES
    this.#median = undefined
  }

  /** Undefined before the first value. */
  get value(): number | undefined {
    this.#median ??= this.#ring.toSorted((a, b) => a - b)[this.#ring.length >> 1]
    return this.#median
  }
}
