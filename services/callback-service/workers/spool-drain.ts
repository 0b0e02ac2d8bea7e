import type { Part } from '#foundation/lifecycle.ts'
import type { Logger } from '#foundation/logger.ts'
import { Loop } from '#foundation/loop.ts'
import { isStorageTrouble, ValueRefusedError } from '../domain/storage-errors.ts'

interface Spooled {
  readonly seq: number
  readonly id: string
}

/** The spool, as its drain needs it. */
export interface DrainableSpool<Row extends Spooled> {
  readonly callbacks: number
  oldest(limit: number): Promise<Row[]>
  forget(seq: number): Promise<void>
  setAside(seq: number): Promise<void>
}

export interface SpoolDrainOptions<Row extends Spooled> {
  readonly spool: DrainableSpool<Row>
  /** Writes rows into the inbox, in their order; what is there already it leaves. */
  readonly takeOver: (rows: readonly Row[]) => Promise<void>
  readonly onDrained: (count: number) => void
  readonly logger: Logger
}

const BATCH = 256
/** How often is looked for callbacks in the spool; a look costs nothing while there are none. */
const INTERVAL_MS = 50

/**
 * Moves what is spooled into the inbox as soon as the database takes it: in order, and each once by its id, because a batch is forgotten only
 * when it is committed, and one that is written again changes nothing.
 */
export class SpoolDrain<Row extends Spooled> implements Part {
  readonly name = 'spool drain'
  readonly #options: SpoolDrainOptions<Row>
  readonly #loop: Loop
  #isInUse = false
  #moved = 0

  constructor(options: SpoolDrainOptions<Row>) {
    this.#options = options
    this.#loop = new Loop({ name: 'drain spool', logger: options.logger, isReportedElsewhere: isStorageTrouble, pass: () => this.#drain() })
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #drain(): Promise<number> {
    const { spool, onDrained } = this.#options
    this.#report(spool.callbacks)
    if (spool.callbacks === 0) return INTERVAL_MS
    const rows = await spool.oldest(BATCH)
    const last = rows.at(-1)
    if (!last) return INTERVAL_MS
    await this.#takeOver(rows)
    await spool.forget(last.seq)
    this.#moved += rows.length
    onDrained(rows.length)
    this.#report(spool.callbacks)
    return 0
  }

  /** What Postgres refuses is found by halving, and kept aside: it must not hold up the others, and it was answered with 202. */
  async #takeOver(rows: readonly Row[]): Promise<void> {
    const { spool, takeOver, logger } = this.#options
    try {
      await takeOver(rows)
    } catch (error) {
      if (!(error instanceof ValueRefusedError)) throw error
      const [row] = rows
      if (row && rows.length === 1) {
        logger.error({ callback_id: row.id, err: error }, 'the database refuses a spooled callback: it stays in the spool, set aside')
        await spool.setAside(row.seq)
        return
      }
      const half = rows.length >> 1
      await this.#takeOver(rows.slice(0, half))
      await this.#takeOver(rows.slice(half))
    }
  }

  #report(callbacks: number): void {
    const { logger } = this.#options
    if (callbacks > 0 && !this.#isInUse) {
      this.#isInUse = true
      this.#moved = 0
      logger.warn({ callbacks }, 'callbacks are in the spool until the database takes them')
    } else if (callbacks === 0 && this.#isInUse) {
      this.#isInUse = false
      logger.info({ callbacks: this.#moved }, 'the spool is drained')
    }
  }
}
