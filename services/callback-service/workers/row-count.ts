import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

const INTERVAL_MS = 2000
/** Counting goes through every row: it takes at most 1 % of the time, so a million rows are counted less often. */
const REST_PER_WORK = 100

/** Counts rows again and again: at most every 2 s, and with rests of a hundred times as long as the count took. */
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
