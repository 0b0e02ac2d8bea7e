import type { ServerResponse } from 'node:http'
import type { Part } from '#foundation/lifecycle/parts.ts'

/** Longer than anybody waits, and the longest a timer can. */
export const FOREVER_MS = 2 ** 31 - 1

/**
 * The answers that are being held back: slow ones, and those that never come.
 * A client that goes away frees its answer at once, and so does a stop: slow answers then go out early and hanging ones are cut,
 * so that the server need not wait for them.
 */
export class HeldAnswers implements Part {
  readonly name = 'held answers'
  readonly #releases = new Set<() => void>()
  #isStopping = false

  get count(): number {
    return this.#releases.size
  }

  /** Resolves after `ms`, or as soon as there is nothing left to wait for. */
  hold(response: ServerResponse, ms: number): Promise<void> {
    if (this.#isStopping || response.destroyed) return Promise.resolve()
    return new Promise(resolve => {
      const release = (): void => {
        clearTimeout(timer)
        response.off('close', release)
        this.#releases.delete(release)
        resolve()
      }
      const timer = setTimeout(release, Math.min(ms, FOREVER_MS))
      response.once('close', release)
      this.#releases.add(release)
    })
  }

  /** Lets go of all that are held now. */
  release(): void {
    for (const release of this.#releases) release()
  }

  /** Lets go of all, and holds no more. */
  stop(): void {
    this.#isStopping = true
    this.release()
  }
}
