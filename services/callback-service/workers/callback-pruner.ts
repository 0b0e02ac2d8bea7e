import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

const BATCH = 1000
const REST_MS = 5000

/** Forgets callbacks, and their idempotency keys, that finished longer ago than the retention. Every 5 s; at once again after a full batch. */
export class CallbackPruner implements Part {
  readonly name = 'callback pruner'
  readonly #loop: Loop

  constructor({ prune, logger }: { readonly prune: (limit: number) => Promise<number>; readonly logger: Logger }) {
    this.#loop = new Loop({
      name: 'prune callbacks',
      logger,
      isReportedElsewhere: isStorageTrouble,
      pass: async () => ((await prune(BATCH)) === BATCH ? 0 : REST_MS),
    })
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }
}
