/** Finished callbacks that make the rate exact enough. */
const ENOUGH = 200
const MAX_WINDOWS = 8

/** Measures how many callbacks finish in a second, from counts of those that finished within a window. Few callbacks need several windows. */
export class FinishRate {
  readonly #windows: { readonly finished: number; readonly ms: number }[] = []

  add(finished: number, windowMs: number): void {
    this.#windows.unshift({ finished, ms: windowMs })
    if (this.#windows.length > MAX_WINDOWS) this.#windows.pop()
  }

  /** Forgets all windows. */
  clear(): void {
    this.#windows.length = 0
  }

  /** 0 before the first window. */
  get perSecond(): number {
    let [finished, ms] = [0, 0]
    for (const window of this.#windows) {
      if (finished >= ENOUGH) break
      finished += window.finished
      ms += window.ms
    }
    return ms === 0 ? 0 : (finished / ms) * 1000
  }
}
