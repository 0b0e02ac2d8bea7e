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
  /** What the database has not taken yet, in order. */
  oldest(limit: number): Promise<Row[]>
  /** Forgets all that came up to `seq`, or up to where it was told last. */
  forget(seq?: number): Promise<void>
  /** Keeps a callback aside, for a person to look at, when those up to it are forgotten. */
  setAside(seq: number, reason: string): void
}

export interface SpoolDrainOptions<Row extends Spooled> {
  readonly spool: DrainableSpool<Row>
  /**
   * Writes rows into the inbox, in their order; what is there already it leaves.
   * @returns those whose idempotency key another callback has: they were taken without it
   * @throws {ValueRefusedError} one of the rows is refused; none was taken
   */
  readonly takeOver: (rows: readonly Row[]) => Promise<readonly { readonly id: string; readonly ownerId: string }[]>
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
  #isMoving = false
  #moved = 0

  constructor(options: SpoolDrainOptions<Row>) {
    this.#options = options
    this.#loop = new Loop({ name: 'drain spool', logger: options.logger, isReportedElsewhere: isStorageTrouble, pass: () => this.#drain() })
  }

  /** Whether callbacks are moving, and more are to come. A drain that is stuck holds up nothing. */
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

  /** @returns whether there may be more */
  async #moveBatch(): Promise<boolean> {
    const { spool, onDrained } = this.#options
    const rows = await spool.oldest(BATCH)
    const mayBeMore = rows.length === BATCH
    const taken = await this.#takeOver(rows)
    this.#moved += taken
    onDrained(taken)
    const forgotten = spool.forget(rows.at(-1)?.seq)
    // A full disk takes no deletion. It is no reason to leave the rest on it: all is forgotten with the last batch, or the trouble told.
    await (mayBeMore ? forgotten.catch(() => undefined) : forgotten)
    return mayBeMore
  }

  /**
   * What the database refuses, found by halving, is kept aside for a person to look at: it must not hold up the others, and it was answered
   * with 202.
   * @returns how many were taken
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
