import type { Outcome } from './outcome.ts'

const INTERRUPTED = { kind: 'pending', reason: 'interrupted', isCharged: false } as const

/**
 * Ends an attempt early, because somebody wants the callback back. Its fetches answer `pending`, uncharged. Those under way go on, because
 * other callbacks may wait for them. Those that have not left yet do not begin, unless another callback wants them.
 */
export class Recall {
  readonly #called = Promise.withResolvers<Outcome>()
  #isCalled = false

  get isCalled(): boolean {
    return this.#isCalled
  }

  /** Ends the attempt. Safe to repeat. */
  call(): void {
    this.#isCalled = true
    this.#called.resolve(INTERRUPTED)
  }

  /** Resolves with the outcome of a fetch, or as soon as the callback is wanted back. */
  orEarlier(fetched: Promise<Outcome>): Promise<Outcome> {
    return Promise.race([fetched, this.#called.promise])
  }
}
