import { setTimeout as sleep } from 'node:timers/promises'

/** A timer holds at most 2^31 - 1 ms; ending early once in 24 days is harmless. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Resolves after so many milliseconds, or at once when `signal` is aborted. Does not keep the process alive. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.min(ms, MAX_TIMER_MS), undefined, { signal, ref: false })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** Rests of thousands at a time that end together: on one AbortSignal each new listener would be compared with all there are. */
export class Rests {
  readonly #ends = new Set<() => void>()

  get underWay(): number {
    return this.#ends.size
  }

  /** Resolves after so many milliseconds, or when all are ended. Does not keep the process alive. */
  rest(ms: number): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        this.#ends.delete(end)
        resolve()
      }
      const timer = setTimeout(end, Math.min(ms, MAX_TIMER_MS)).unref()
      this.#ends.add(end)
    })
  }

  /** Ends those under way; later ones are rests as ever. */
  endAll(): void {
    for (const end of [...this.#ends]) end()
  }
}
