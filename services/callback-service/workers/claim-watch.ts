import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { WorkerLiveness, WorkerSign } from '../domain/processing/worker-liveness.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface ClaimWatchOptions {
  /** Reads the signs of life of all workers. */
  readonly look: () => Promise<readonly WorkerSign[]>
  readonly liveness: Pick<WorkerLiveness, 'observe' | 'interrupted'>
  /** Gives back what the dead had claimed. @returns how many callbacks */
  readonly takeOver: (worker: number, dead: readonly number[]) => Promise<number>
  readonly worker: () => number | undefined
  readonly intervalMs: number
  /** There are callbacks to claim. */
  readonly onTakenOver: (count: number) => void
  readonly logger: Logger
}

/** Looks every `intervalMs` which workers live, and gives the callbacks of the dead back to the inbox. */
export class ClaimWatch implements Part {
  readonly name = 'claim watch'
  readonly #options: ClaimWatchOptions
  readonly #loop: Loop

  constructor(options: ClaimWatchOptions) {
    this.#options = options
    this.#loop = new Loop({
      name: 'take over callbacks',
      logger: options.logger,
      isReportedElsewhere: isStorageTrouble,
      pass: () => this.#pass(),
    })
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #pass(): Promise<number> {
    const { look, liveness, takeOver, worker, intervalMs, onTakenOver, logger } = this.#options
    const signs = await look().catch(error => {
      liveness.interrupted()
      throw error
    })
    const number = worker()
    if (number === undefined) {
      // Without a session of its own it cannot tell who lost theirs in the same outage.
      liveness.interrupted()
      return intervalMs
    }
    const count = await takeOver(
      number,
      liveness.observe(signs).filter(dead => dead !== number),
    )
    if (count > 0) {
      logger.warn({ count }, 'callbacks taken over from a lost worker')
      onTakenOver(count)
    }
    return intervalMs
  }
}
