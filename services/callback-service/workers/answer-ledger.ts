import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { AnswerCounts, AnswerTotal } from '../domain/ledger/answer-counts.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface AnswerLedgerOptions {
  readonly counts: AnswerCounts
  /** Writes totals. Safe to repeat. */
  readonly write: (totals: readonly AnswerTotal[]) => Promise<void>
  readonly logger: Logger
}

const BATCH = 1000
const REST_MS = 1000

/**
 * Writes once a second how many POSTs were replayed or refused, and again when it stops. A process that dies loses the answers of the last second.
 * No callback depends on them.
 */
export class AnswerLedger implements Part {
  readonly name = 'answer ledger'
  readonly #options: AnswerLedgerOptions
  readonly #loop: Loop

  constructor(options: AnswerLedgerOptions) {
    this.#options = options
    this.#loop = new Loop({
      name: 'write answers to the ledger',
      logger: options.logger,
      isReportedElsewhere: isStorageTrouble,
      pass: async () => ((await this.#writeBatch()) === BATCH ? 0 : REST_MS),
    })
  }

  start(): void {
    this.#loop.start()
  }

  /** Writes the rest, unless the database is away. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    try {
      while ((await this.#writeBatch()) === BATCH);
    } catch (error) {
      if (!isStorageTrouble(error)) throw error
      this.#options.logger.warn({ reason: (error as Error).message }, 'answers of the last seconds are missing in the ledger')
    }
  }

  async #writeBatch(): Promise<number> {
    const { counts, write, logger } = this.#options
    const totals = counts.unwritten(BATCH)
    const lost = counts.takeLost()
    if (lost > 0) logger.warn({ answers: lost }, 'answers are missing in the ledger: too many, or for too long, could not be written')
    if (totals.length > 0) await write(totals)
    counts.written(totals)
    return totals.length
  }
}
