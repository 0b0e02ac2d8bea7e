/** A count is too old after this many intervals between counts. */
const MAX_INTERVALS = 3
const MIN_STALE_MS = 10_000

/** The last result of a count that is repeated. Nobody takes an old one for the present: while the database is away, nothing is known. */
export class RecentCount {
  readonly #nowMs: () => number
  #count: number | undefined
  #atMs = 0
  #intervalMs = 0

  /** @param nowMs a monotonic clock */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  set(count: number): void {
    const now = this.#nowMs()
    if (this.#count !== undefined) this.#intervalMs = now - this.#atMs
    this.#count = count
    this.#atMs = now
  }

  /** null: nobody has counted recently. */
  get value(): number | null {
    const isOld = this.#nowMs() - this.#atMs > Math.max(MIN_STALE_MS, MAX_INTERVALS * this.#intervalMs)
    return this.#count === undefined || isOld ? null : this.#count
  }
}
