import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { WorkerLiveness, WorkerSign } from '../domain/processing/worker-liveness.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface ClaimWatchOptions {
  /** Reads the signs of life of all workers. */
  readonly look: () => Promise<readonly WorkerSign[]>
  readonly liveness: Pick<WorkerLiveness, 'observe' | 'interrupted'>
  /** Gives back what the dead had claimed. @returns how many callbacks */
  readonly takeOver: (workerNumber: number, dead: readonly number[]) => Promise<number>
  /** This worker's number while it may claim. */
  readonly workerNumber: () => number | undefined
  readonly intervalMs: number
  /** There are callbacks to claim. */
  readonly onTakenOver: (count: number) => void
  readonly logger: Logger
}

/** Looks every `intervalMs` which workers live, and gives the callbacks of the dead back to the inbox. */
export function claimWatch(options: ClaimWatchOptions): Loop {
  const { look, liveness, takeOver, workerNumber, intervalMs, onTakenOver, logger } = options
  const pass = async (): Promise<number> => {
    const signs = await look().catch(error => {
      liveness.interrupted()
      throw error
    })
    const number = workerNumber()
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
  return new Loop({ name: 'take over callbacks', logger, isReportedElsewhere: isStorageTrouble, pass })
}
