import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

const INTERVAL_MS = 2000
/** Rest after a count, as a multiple of its duration. A count reads every row, so it may take at most 1 % of the time. */
const REST_PER_WORK = 100

/** Counts rows regularly: at most every 2 s, with a rest of at least a hundred times the duration of the count. */
export function rowCount({ count, logger }: { readonly count: () => Promise<void>; readonly logger: Logger }): Loop {
  return new Loop({
    name: 'count rows',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const started = performance.now()
      await count()
      return Math.max(INTERVAL_MS, REST_PER_WORK * (performance.now() - started))
    },
  })
}
