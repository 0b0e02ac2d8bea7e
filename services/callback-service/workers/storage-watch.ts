import type { Part } from '#foundation/lifecycle.ts'
import type { Logger } from '#foundation/logger.ts'
import { Loop } from '#foundation/loop.ts'

const INTERVAL_MS = 500

/**
 * Knows whether callbacks can be stored: asks the database twice a second, so that health answers need not. Until it has answered once,
 * the answer is no.
 */
export class StorageWatch implements Part {
  readonly name = 'storage watch'
  readonly #loop: Loop
  #problem: string | undefined = 'the database has not answered yet'

  /** @param options.probe throws what is wrong, in words for an operator */
  constructor({ probe, logger }: { readonly probe: () => Promise<void>; readonly logger: Logger }) {
    this.#loop = new Loop({
      name: 'watch storage',
      logger,
      pass: async () => {
        try {
          await probe()
          this.#problem = undefined
        } catch (error) {
          this.#problem = error instanceof Error ? error.message : String(error)
          throw error
        }
        return INTERVAL_MS
      },
    })
  }

  /** @returns undefined when all is well */
  get problem(): string | undefined {
    return this.#problem
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }
}
