import type { ServerResponse } from 'node:http'
import type { Part } from '#foundation/lifecycle/parts.ts'

/** The longest time that a timer can wait. No client waits that long. */
export const FOREVER_MS = 2 ** 31 - 1

/**
 * The answers that the service holds back: slow ones, and those that never come.
 * If a client disconnects, its answer is released at once. A stop releases all answers: slow ones go out early, hanging ones are cut,
 * and the server does not wait for them.
 */
export class HeldAnswers implements Part {
  readonly name = 'held answers'
  readonly #releases = new Set<() => void>()
  #isStopping = false

  get count(): number {
    return this.#releases.size
  }

  /** Holds an answer back. Resolves after `ms`, or earlier if the client disconnects or the answer is released. */
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

  /** Releases all answers that it holds now. */
  release(): void {
    for (const release of this.#releases) release()
  }

  /** Releases all answers, and holds no answer after that. */
  stop(): void {
    this.#isStopping = true
    this.release()
  }
}
