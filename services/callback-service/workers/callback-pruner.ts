import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

const BATCH = 1000
const REST_MS = 5000

/**
 * Deletes callbacks, with their idempotency keys, that finished longer ago than the retention. It runs every 5 s, and again at once after a
 * full batch.
 */
export function callbackPruner({ prune, logger }: { readonly prune: (limit: number) => Promise<number>; readonly logger: Logger }): Loop {
  return new Loop({
    name: 'prune callbacks',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => ((await prune(BATCH)) === BATCH ? 0 : REST_MS),
  })
}
