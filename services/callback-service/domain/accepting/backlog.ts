const MAX_WAIT_SECONDS = 60

/**
 * Estimates how many callbacks are unfinished: the last count plus the callbacks that this process has accepted since.
 * Callbacks that other replicas accept appear with the next count.
 */
export class Backlog {
  readonly #max: number
  readonly #nowMs: () => number
  #counted = 0
  #countedAtMs: number | undefined
  #accepted = 0
  #finishedPerSecond = 0

  constructor(options: { readonly max: number; readonly nowMs: () => number }) {
    this.#max = options.max
    this.#nowMs = options.nowMs
  }

  count(unfinished: number): void {
    const now = this.#nowMs()
    if (this.#countedAtMs !== undefined) {
      this.#finishedPerSecond = Math.max(0, (this.#counted + this.#accepted - unfinished) / ((now - this.#countedAtMs) / 1000))
    }
    this.#counted = unfinished
    this.#accepted = 0
    this.#countedAtMs = now
  }

  accepted(): void {
    this.#accepted += 1
  }

  /** Seconds until there may be room for another callback, at most 60; 0 if there is room now. */
  get waitSeconds(): number {
    const excess = this.#counted + this.#accepted - this.#max
    if (excess < 0) return 0
    return Math.min(MAX_WAIT_SECONDS, Math.ceil((excess + 1) / this.#finishedPerSecond))
  }
}
