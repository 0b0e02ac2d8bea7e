import type { Part } from '#foundation/lifecycle.ts'
import type { Logger } from '#foundation/logger.ts'
import { Loop } from '#foundation/loop.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface ClaimWatchOptions {
  /** Gives back what the dead had claimed. @returns how many callbacks */
  readonly takeOver: (worker: number) => Promise<number>
  readonly worker: () => number | undefined
  readonly intervalMs: number
  /** There are callbacks to claim. */
  readonly onTakenOver: (count: number) => void
  readonly logger: Logger
}

/** Looks at start and every `intervalMs` for callbacks whose worker died or hangs, and gives them back to the inbox. */
export class ClaimWatch implements Part {
  readonly name = 'claim watch'
  readonly #loop: Loop

  constructor({ takeOver, worker, intervalMs, onTakenOver, logger }: ClaimWatchOptions) {
    this.#loop = new Loop({
      name: 'take over callbacks',
      logger,
      isReportedElsewhere: isStorageTrouble,
      pass: async () => {
        const number = worker()
        const count = number === undefined ? 0 : await takeOver(number)
        if (count > 0) {
          logger.warn({ count }, 'callbacks taken over from a lost worker')
          onTakenOver(count)
        }
        return intervalMs
      },
    })
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }
}
