import { setTimeout as sleep } from 'node:timers/promises'

/** Maximum time of a timer, 2^31 - 1 ms. A rest that ends early after 24 days is harmless. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Resolves after `ms` milliseconds, or as soon as `signal` is aborted. It does not keep the process alive. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.min(ms, MAX_TIMER_MS), undefined, { signal, ref: false })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/**
 * Thousands of rests that can be ended together. One AbortSignal for all would be slow, because it compares each new listener with all
 * others.
 */
export class Rests {
  readonly #ends = new Set<() => void>()

  get underWay(): number {
    return this.#ends.size
  }

  /** Resolves after `ms` milliseconds, or when `endAll` is called. It does not keep the process alive. */
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

  /** Ends the rests under way. It has no effect on later rests. */
  endAll(): void {
    for (const end of [...this.#ends]) end()
  }
}
