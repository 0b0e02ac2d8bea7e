import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { WorkerLiveness, WorkerSign } from '../domain/processing/worker-liveness.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface ClaimWatchOptions {
  /** Reads the signs of life of all workers. */
  readonly look: () => Promise<readonly WorkerSign[]>
  readonly liveness: Pick<WorkerLiveness, 'observe' | 'interrupted'>
  /** Gives the callbacks of dead workers back to the inbox. @returns number of callbacks */
  readonly takeOver: (workerNumber: number, dead: readonly number[]) => Promise<number>
  /** This worker's number while it may claim. */
  readonly workerNumber: () => number | undefined
  readonly intervalMs: number
  /** Called when callbacks were taken over, so that they can be claimed. */
  readonly onTakenOver: (count: number) => void
  readonly logger: Logger
}

/** Checks every `intervalMs` which workers are alive, and gives the callbacks of dead workers back to the inbox. */
export function claimWatch(options: ClaimWatchOptions): Loop {
  const { look, liveness, takeOver, workerNumber, intervalMs, onTakenOver, logger } = options
  const pass = async (): Promise<number> => {
    const signs = await look().catch(error => {
      liveness.interrupted()
      throw error
    })
    const number = workerNumber()
    if (number === undefined) {
      // Without a session of its own, this process cannot tell which workers lost theirs in the same outage.
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
