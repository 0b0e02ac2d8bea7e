import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface LedgerPrunerOptions {
  /** Adds up old answers by the hour. @returns number of rows added up */
  readonly merge: (limit: number) => Promise<number>
  /** Deletes what is older than the retention of the ledger. @returns number of rows deleted */
  readonly prune: (limit: number) => Promise<number>
  readonly logger: Logger
}

const BATCH = 1000
const REST_MS = 60_000

/** Keeps the ledger small. It runs once a minute, and again at once after a full batch. */
export function ledgerPruner({ merge, prune, logger }: LedgerPrunerOptions): Loop {
  return new Loop({
    name: 'prune the ledger',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const merged = await merge(BATCH)
      const pruned = await prune(BATCH)
      return Math.max(merged, pruned) === BATCH ? 0 : REST_MS
    },
  })
}
