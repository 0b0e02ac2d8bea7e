import { Batcher, BatcherFullError, BatchTimeoutError } from '#foundation/batcher.ts'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../../domain/accepting/accept-errors.ts'
import { scopedKey } from '../../domain/accepting/idempotency-key.ts'
import type { Accepted } from '../../domain/accepting/intake.ts'
import type { CallbackView } from '../../domain/callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { columns, type NewCallback } from '../new-callback.ts'
import { SpoolConnection } from './spool-connection.ts'
import type { AsideRow, Kept, NumberedRow, OptionalColumn, RefusedRow, SpoolFile, SpoolState } from './spool-file.ts'
import { type AsideCallback, asideOf, viewOf } from './spooled-callback.ts'

export interface CallbackSpoolOptions {
  /** The spool's file. Its folder is made if it is missing. */
  readonly path: string
  /** Size of the file's content from which the spool refuses callbacks. */
  readonly maxBytes: number
  readonly maxBatch: number
  readonly maxWaiting: number
  readonly timeoutMs: number
  /** The time of the database's clock as this process knows it, in epoch milliseconds. */
  readonly nowMs: () => number
  /** The id of the callback that has a scoped idempotency key in the database; undefined if this process does not know one. */
  readonly ownerOf: (scopedKey: string) => string | undefined
  /** Called after each write with the number of callbacks that are new in the spool, and with the time the write took. */
  readonly onKept: (count: number, seconds: number) => void
  readonly logger: Logger
}

/** Time between two tries to open or write a broken spool. */
const RETRY_MS = 1000
/**
 * Longest time to wait for an answer of the spool, so that accepting does not wait for a disk that hangs. Usually it takes 0.1 ms plus a
 * flush.
 */
const QUESTION_TIMEOUT_MS = 100

/**
 * A journal on the local disk where callbacks wait while the database cannot take them. It is flushed before `append` resolves. Callbacks
 * that arrive together share one flush. If a process dies, the next one finds its callbacks in the file.
 */
export class CallbackSpool implements Part {
  readonly name = 'spool'
  readonly #options: CallbackSpoolOptions
  readonly #batcher: Batcher<NewCallback, Accepted | Error>
  readonly #questions: Batcher<NewCallback, boolean>
  readonly #upkeep: Loop
  readonly #tried = Promise.withResolvers<void>()
  #file: SpoolConnection | undefined
  /** Why the file is not open; undefined while it is open. */
  #problem: string | undefined = 'not open yet'
  #state: SpoolState = { callbacks: 0, setAside: 0, bytes: 0, problem: undefined, isDamaged: false }
  #arriving = 0
  #takenSeq = 0
  /** Rows that the database refused. The next `forget` sets them aside. */
  #refused: RefusedRow[] = []
  /** Whether the last read returned all rows that were left. */
  #wereAll = false
  #mustFollow = true

  constructor(options: CallbackSpoolOptions) {
    this.#options = options
    this.#batcher = new Batcher({
      write: callbacks => this.#appendAll(callbacks),
      maxBatch: options.maxBatch,
      maxWaiting: options.maxWaiting,
      timeoutMs: options.timeoutMs,
    })
    this.#questions = new Batcher({
      write: callbacks => this.#areRivals(callbacks),
      maxBatch: options.maxBatch,
      timeoutMs: QUESTION_TIMEOUT_MS,
    })
    this.#upkeep = new Loop({
      name: 'keep spool open',
      logger: options.logger,
      pass: async () => {
        if (!this.#file) await this.#open().finally(() => this.#tried.resolve())
        else if (this.#state.problem !== undefined && !this.#state.isDamaged) await this.#opened.call('probe', undefined)
        return RETRY_MS
      },
    })
  }

  /** Number of callbacks that the database has not taken yet, including those on their way to the disk. */
  get callbacks(): number {
    return this.#state.callbacks + this.#arriving
  }

  /**
   * Whether new callbacks must queue in the spool, until the database has taken all that was in it. Callbacks that arrived during that last
   * read follow at once, but new ones need not queue behind them. Otherwise constant traffic would keep the spool in use forever. A spool
   * that cannot be written is not in use: then callbacks go to the database alone.
   */
  get isInUse(): boolean {
    return this.problem === undefined && this.#mustFollow && this.callbacks > 0
  }

  /** Number of callbacks that the database refused. They stay in the spool until an operator decides. */
  get setAsideCount(): number {
    return this.#state.setAside
  }

  /** Whether the spool can keep another callback, as far as this process knows. */
  get hasRoom(): boolean {
    return this.problem === undefined && this.#state.bytes < this.#options.maxBytes
  }

  get bytes(): number {
    return this.#state.bytes
  }

  /** Why the spool cannot keep callbacks; undefined while it can. */
  get problem(): string | undefined {
    return this.#problem ?? this.#state.problem
  }

  /**
   * Opens the file. That fails if the file is not a spool, cannot be written, or is open in another process. The service then works without
   * a spool and tries again, because it can still accept callbacks into the database.
   */
  async start(): Promise<void> {
    this.#upkeep.start()
    await this.#tried.promise
  }

  async #open(): Promise<void> {
    const { path, maxBytes, logger } = this.#options
    try {
      this.#file = await SpoolConnection.open({
        path,
        maxBytes,
        onState: state => this.#know(state),
        onBroken: error => {
          this.#file = undefined
          this.#problem = 'the spool broke while it was open'
          logger.error({ err: error }, 'the spool broke: opening it again')
        },
      })
    } catch (error) {
      this.#problem = `the spool ${path} cannot be opened: ${(error as Error).message}`
      throw new Error(this.#problem, { cause: error })
    }
    this.#problem = undefined
    // The drain starts again at the beginning of the file, because it may be another file than before.
    this.#takenSeq = 0
    this.#refused = []
    this.#mustFollow = true
  }

  #know(state: SpoolState): void {
    if (state.isDamaged && !this.#state.isDamaged)
      this.#options.logger.error({ reason: state.problem }, 'the spool is damaged: it keeps no new callbacks')
    this.#state = state
  }

  /** Closes the file after the callbacks under way are on the disk. Its callbacks stay in it. */
  async stop(): Promise<void> {
    await this.#upkeep.stop()
    if (!this.#file) return
    await this.#batcher.idle()
    await this.#file.close()
    this.#file = undefined
  }

  /**
   * Resolves when the callback is on the disk.
   * @throws {StorageUnavailableError} the spool is full, broken or damaged, or the outcome is unknown
   * @throws {OverloadedError} too many callbacks are waiting already; nothing was stored
   * @throws {IdempotencyKeyReusedError} the key came with other object ids before
   */
  async append(callback: NewCallback): Promise<Accepted> {
    this.#arriving += 1
    this.#mustFollow = true
    try {
      const result = await this.#batcher.add(callback)
      if (result instanceof Error) throw result
      return result
    } catch (error) {
      throw translate(error)
    } finally {
      this.#arriving -= 1
    }
  }

  /**
   * Whether the spool holds a callback with the same idempotency key and other object ids.
   * @returns undefined if no answer comes within 100 ms
   */
  async holdsRival(callback: NewCallback): Promise<boolean | undefined> {
    if (!this.#file || this.callbacks === 0) return false
    try {
      return await this.#questions.add(callback)
    } catch (error) {
      if (error instanceof BatchTimeoutError || error instanceof StorageUnavailableError) return undefined
      throw error
    }
  }

  /** Reads the oldest callbacks that the database has not taken yet, in the order in which they came. */
  async oldest(limit: number): Promise<NumberedRow[]> {
    const rows = (await this.#opened.call('oldest', { after: this.#takenSeq, limit })) as NumberedRow[]
    this.#wereAll = rows.length < limit
    return rows
  }

  /**
   * Forgets the callbacks that the database has taken, up to and including `seq`, and sets aside those that it refused.
   * @param seq default: the `seq` of the last call
   * @throws {StorageUnavailableError} the disk is full or broken: the callbacks stay in the file, but `oldest` does not return them again
   */
  async forget(seq = this.#takenSeq): Promise<void> {
    this.#takenSeq = seq
    if (this.#wereAll) this.#mustFollow = false
    const refused = [...this.#refused]
    await this.#opened.call('forget', { seq, refused })
    this.#refused = this.#refused.filter(row => !refused.includes(row))
  }

  /** Notes that the database refuses a callback. The next `forget` sets it aside for an operator. */
  setAside(seq: number, reason: string): void {
    this.#refused.push({ seq, reason })
  }

  /**
   * Finds a callback that the database has not taken yet.
   * @returns undefined if it is not in the spool, or if the file is closed or damaged
   */
  async find(id: string): Promise<CallbackView | undefined> {
    if (!this.#file || this.#state.isDamaged || this.callbacks === 0) return undefined
    const row = (await this.#opened.call('find', id)) as NumberedRow | undefined
    return row && row.seq > this.#takenSeq ? viewOf(row) : undefined
  }

  /** Lists the callbacks that the database refused, the oldest first. @throws {StorageUnavailableError} the file cannot be read */
  async aside(limit: number): Promise<AsideCallback[]> {
    return ((await this.#opened.call('aside', { limit })) as AsideRow[]).map(asideOf)
  }

  /**
   * Puts a callback that was set aside back into the queue for the database, without some of its columns.
   * @returns its workspace; undefined if there was no such callback
   * @throws {IdempotencyKeyReusedError} its key has come with other object ids since
   * @throws {StorageUnavailableError} the file cannot be written
   */
  async putBack(id: string, without: readonly OptionalColumn[]): Promise<string | undefined> {
    const outcome = (await this.#opened.call('putBack', { id, without })) as ReturnType<SpoolFile['putBack']>
    if (outcome === 'key_reused') throw new IdempotencyKeyReusedError()
    return outcome?.workspace
  }

  /**
   * Deletes a callback that was set aside.
   * @returns the callback; undefined if there was none.
   * @throws {StorageUnavailableError} the file cannot be written
   */
  async drop(id: string): Promise<AsideCallback | undefined> {
    const row = (await this.#opened.call('drop', id)) as AsideRow | undefined
    return row && asideOf(row)
  }

  async #appendAll(callbacks: readonly NewCallback[]): Promise<(Accepted | Error)[]> {
    const { nowMs, ownerOf, onKept } = this.#options
    const received_ms = nowMs()
    // `ownerOf` is asked now, not earlier. It knows the keys of callbacks that the spool has forgotten by now; the file has those of the
    // others.
    const isRival = callbacks.map(
      ({ id, workspace, idempotencyKey: key }) => key !== undefined && (ownerOf(scopedKey(workspace, key)) ?? id) !== id,
    )
    const rows = callbacks.filter((_, n) => !isRival[n]).map(callback => ({ ...columns(callback), received_ms }))
    const started = performance.now()
    const kept = (await this.#opened.call('append', rows)) as Kept[]
    onKept(kept.filter(isNew).length, (performance.now() - started) / 1000)
    const next = kept.values()
    return isRival.map(is => (is ? new IdempotencyKeyReusedError() : outcomeOf(next.next().value)))
  }

  async #areRivals(callbacks: readonly NewCallback[]): Promise<boolean[]> {
    return (await this.#opened.call('areRivals', { rows: callbacks.map(columns), after: this.#takenSeq })) as boolean[]
  }

  get #opened(): SpoolConnection {
    if (!this.#file) throw new StorageUnavailableError('the spool is closed')
    return this.#file
  }
}

function isNew(kept: Kept): boolean {
  return typeof kept === 'object' && !kept.isReplay
}

function outcomeOf(kept: Kept | undefined): Accepted | Error {
  if (kept === undefined || kept === 'no_room') return new StorageUnavailableError('the database is away and the spool is full')
  if (kept === 'key_reused') return new IdempotencyKeyReusedError()
  return { id: kept.id, receivedAt: new Date(kept.receivedMs), isReplay: kept.isReplay }
}

function translate(error: unknown): unknown {
  if (error instanceof BatchTimeoutError) return new StorageUnavailableError('the spool did not answer in time', { cause: error })
  if (error instanceof BatcherFullError) return new OverloadedError('too many callbacks wait for the spool', { cause: error })
  return error
}
