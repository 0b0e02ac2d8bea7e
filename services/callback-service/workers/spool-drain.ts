import { inHalves } from '#foundation/halving.ts'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble, ValueRefusedError } from '../domain/storage-errors.ts'

interface Spooled {
  readonly seq: number
  readonly id: string
  readonly request_id?: string | null | undefined
  readonly traceparent?: string | null | undefined
}

/** The spool, as its drain needs it. */
export interface DrainableSpool<Row extends Spooled> {
  readonly callbacks: number
  /** Reads the oldest callbacks that the database has not taken yet, in order. */
  oldest(limit: number): Promise<Row[]>
  /** Forgets the callbacks up to and including `seq`. Without `seq`, it uses that of the last call. */
  forget(seq?: number): Promise<void>
  /** Notes that the database refuses a callback. The next `forget` sets it aside for an operator. */
  setAside(seq: number, reason: string): void
}

export interface SpoolDrainOptions<Row extends Spooled> {
  readonly spool: DrainableSpool<Row>
  /**
   * Writes rows into the inbox, in their order. Rows that are there already stay as they are.
   * @returns the callbacks that were taken without their idempotency key, because another callback has it
   * @throws {ValueRefusedError} the database refuses one of the rows; none was taken
   */
  readonly takeOver: (rows: readonly Row[]) => Promise<readonly { readonly id: string; readonly ownerId: string }[]>
  readonly onDrained: (count: number) => void
  readonly logger: Logger
}

const BATCH = 256
/** Time between two looks at the spool. A look costs nothing while the spool is empty. */
const INTERVAL_MS = 50

/**
 * Moves spooled callbacks into the inbox, in order, as soon as the database takes them. Each arrives exactly once. The spool forgets a
 * batch only after its commit, and writing a batch twice changes nothing, because a callback keeps its id.
 */
export class SpoolDrain<Row extends Spooled> implements Part {
  readonly name = 'spool drain'
  readonly #options: SpoolDrainOptions<Row>
  readonly #loop: Loop
  #isInUse = false
  #isMoving = false
  #moved = 0

  constructor(options: SpoolDrainOptions<Row>) {
    this.#options = options
    this.#loop = new Loop({ name: 'drain spool', logger: options.logger, isReportedElsewhere: isStorageTrouble, pass: () => this.#drain() })
  }

  /** Whether the drain is moving callbacks and more will follow. False if it is stuck, so that it does not hold up the worker. */
  get isMoving(): boolean {
    return this.#isMoving
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #drain(): Promise<number> {
    const { spool } = this.#options
    this.#report(spool.callbacks)
    if (spool.callbacks === 0) return INTERVAL_MS
    try {
      this.#isMoving = await this.#moveBatch()
    } catch (error) {
      this.#isMoving = false
      throw error
    }
    return this.#isMoving ? 0 : INTERVAL_MS
  }

  /** Moves one batch. @returns whether there may be more */
  async #moveBatch(): Promise<boolean> {
    const { spool, onDrained } = this.#options
    const rows = await spool.oldest(BATCH)
    const mayBeMore = rows.length === BATCH
    const taken = await this.#takeOver(rows)
    this.#moved += taken
    onDrained(taken)
    const forgotten = spool.forget(rows.at(-1)?.seq)
    // On a full disk the deletion fails. The drain moves the rest all the same: the last batch deletes everything, or reports the error.
    await (mayBeMore ? forgotten.catch(() => undefined) : forgotten)
    return mayBeMore
  }

  /**
   * Writes rows into the inbox. It finds a callback that the database refuses by halving the batch, and sets it aside for an operator. Such
   * a callback must not hold up the others, and must not be dropped, because it was answered with 202.
   * @returns number of rows that the database has taken
   */
  async #takeOver(rows: readonly Row[]): Promise<number> {
    if (rows.length === 0) return 0
    let taken = 0
    const takeOver = async (part: readonly Row[]): Promise<void> => {
      try {
        this.#reportRivals(await this.#options.takeOver(part))
        taken += part.length
      } catch (error) {
        if (part.length > 1 || !isRefusal(error)) throw error
        this.#setAside(part[0] as Row, error.message)
      }
    }
    await inHalves(rows, takeOver, isRefusal)
    return taken
  }

  #reportRivals(rivals: readonly { readonly id: string; readonly ownerId: string }[]): void {
    for (const { id, ownerId } of rivals) {
      this.#options.logger.warn(
        { callback_id: id, owner_id: ownerId },
        'two callbacks were accepted under one idempotency key, with different ids: both are kept',
      )
    }
  }

  #setAside({ id, seq, request_id, traceparent }: Row, reason: string): void {
    const { spool, logger } = this.#options
    spool.setAside(seq, reason)
    const ids = { callback_id: id, request_id: request_id ?? undefined, trace_id: traceparent?.split('-')[1] }
    logger.error({ ...ids, reason }, 'the database refuses a spooled callback: it stays in the spool, set aside')
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

function isRefusal(error: unknown): error is ValueRefusedError {
  return error instanceof ValueRefusedError
}
