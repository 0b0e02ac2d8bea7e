import { Batcher, BatcherFullError, BatchTimeoutError } from '#foundation/batcher.ts'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../../domain/accepting/accept-errors.ts'
import type { Accepted } from '../../domain/accepting/intake.ts'
import type { CallbackView } from '../../domain/callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { columns, type NewCallback } from '../new-callback.ts'
import { SpoolConnection } from './spool-connection.ts'
import type { AsideRow, Kept, NumberedRow, OptionalColumn, RefusedRow, SpoolState } from './spool-file.ts'
import { type AsideCallback, asideOf, viewOf } from './spooled-callback.ts'

export interface CallbackSpoolOptions {
  /** The file; its folder is made when missing. */
  readonly path: string
  /** Beyond so many bytes callbacks are refused. */
  readonly maxBytes: number
  readonly maxBatch: number
  readonly maxWaiting: number
  readonly timeoutMs: number
  /** What time it is, epoch milliseconds: the database's, as far as it is known. */
  readonly nowMs: () => number
  /** Which callback is known to have an idempotency key in the database. */
  readonly ownerOf: (idempotencyKey: string) => string | undefined
  /** Called with each write: how many callbacks are in the spool that were not there before, and how long it took. */
  readonly onKept: (count: number, seconds: number) => void
  readonly logger: Logger
}

/** How often a spool that could not be written is tried again. */
const RETRY_MS = 1000
/** A question takes 0.1 ms, or as long as the flush before it. What the database takes does not wait for a disk that hangs. */
const QUESTION_TIMEOUT_MS = 100

/**
 * Where callbacks wait while the database cannot take them: a journal on the local disk, flushed before `append` resolves. Those that arrive
 * together share one flush. What a process left there when it died is found by the next one.
 */
export class CallbackSpool implements Part {
  readonly name = 'spool'
  readonly #options: CallbackSpoolOptions
  readonly #batcher: Batcher<NewCallback, Accepted | Error>
  readonly #questions: Batcher<NewCallback, boolean>
  readonly #upkeep: Loop
  readonly #tried = Promise.withResolvers<void>()
  #file: SpoolConnection | undefined
  /** Why it is not open. */
  #problem: string | undefined = 'not open yet'
  #state: SpoolState = { callbacks: 0, setAside: 0, bytes: 0, problem: undefined, isDamaged: false }
  #arriving = 0
  #takenSeq = 0
  /** Up to there: what the database refused. It is set aside when the rest is forgotten. */
  #refused: RefusedRow[] = []
  /** Whether the rows read last were all there were. */
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

  /** Callbacks that the database has not taken yet, or that are on their way to the disk. */
  get callbacks(): number {
    return this.#state.callbacks + this.#arriving
  }

  /**
   * Whether what comes must go behind what is here: until the database has taken all there was. What arrived meanwhile follows at once, but
   * does not hold up what comes: where callbacks arrive all the time, the spool is never empty. A spool that cannot be written is not in use: the
   * database is all there is.
   */
  get isInUse(): boolean {
    return this.problem === undefined && this.#mustFollow && this.callbacks > 0
  }

  /** Callbacks that the database refused: they stay here, for a person to look at. */
  get setAsideCount(): number {
    return this.#state.setAside
  }

  /** Whether it can keep another callback, as far as is known. */
  get hasRoom(): boolean {
    return this.problem === undefined && this.#state.bytes < this.#options.maxBytes
  }

  get bytes(): number {
    return this.#state.bytes
  }

  /** Why it is of no use; undefined while it is. */
  get problem(): string | undefined {
    return this.#problem ?? this.#state.problem
  }

  /**
   * Opens the file. Where that cannot be done, because it is no spool, cannot be written, or another process still has it open, the service does
   * without and it is tried again: what the database takes should not be refused for the lack of a spool.
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
          this.#problem = 'it broke while it was open'
          logger.error({ err: error }, 'the spool broke: it is opened again')
        },
      })
    } catch (error) {
      this.#problem = `the spool ${path} cannot be opened: ${(error as Error).message}`
      throw new Error(this.#problem, { cause: error })
    }
    this.#problem = undefined
    // All that is in the file is given out, once more where it was before: it may be another file.
    this.#takenSeq = 0
    this.#refused = []
    this.#mustFollow = true
  }

  #know(state: SpoolState): void {
    if (state.isDamaged && !this.#state.isDamaged)
      this.#options.logger.error({ reason: state.problem }, 'the spool is damaged: it is only read, nothing is kept in it')
    this.#state = state
  }

  /** Closes the file when what is on its way is on the disk. What it holds stays there. */
  async stop(): Promise<void> {
    await this.#upkeep.stop()
    if (!this.#file) return
    await this.#batcher.idle()
    await this.#file.close()
    this.#file = undefined
  }

  /**
   * @returns when the callback is on the disk
   * @throws {StorageUnavailableError} the spool is full, broken or damaged
   * @throws {OverloadedError} too many wait already; nothing was stored
   * @throws {IdempotencyKeyReusedError} the key came with other ids before
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

  /** Whether another callback here has this one's idempotency key, with other object ids. @returns undefined when nobody knows in time */
  async holdsRival(callback: NewCallback): Promise<boolean | undefined> {
    if (!this.#file || this.callbacks === 0) return false
    try {
      return await this.#questions.add(callback)
    } catch (error) {
      if (error instanceof BatchTimeoutError || error instanceof StorageUnavailableError) return undefined
      throw error
    }
  }

  /** What the database has not taken yet, in the order in which it came. */
  async oldest(limit: number): Promise<NumberedRow[]> {
    const rows = (await this.#opened.call('oldest', { after: this.#takenSeq, limit })) as NumberedRow[]
    this.#wereAll = rows.length < limit
    return rows
  }

  /**
   * Forgets what the database has taken: all that came up to `seq`, or up to where it was told last. What it refused of that is set aside.
   * @throws {StorageUnavailableError} it is still in the file, because the disk is full or broken; it is not given out again
   */
  async forget(seq = this.#takenSeq): Promise<void> {
    this.#takenSeq = seq
    if (this.#wereAll) this.#mustFollow = false
    const refused = [...this.#refused]
    await this.#opened.call('forget', { seq, refused })
    this.#refused = this.#refused.filter(row => !refused.includes(row))
  }

  /** Keeps a callback aside that the database refuses, for a person to look at, when those up to it are forgotten. */
  setAside(seq: number, reason: string): void {
    this.#refused.push({ seq, reason })
  }

  /** @returns undefined when it is not here, or the file is damaged: it is with the database soon, or cannot be read */
  async find(id: string): Promise<CallbackView | undefined> {
    if (!this.#file || this.#state.isDamaged || this.callbacks === 0) return undefined
    const row = (await this.#opened.call('find', id)) as NumberedRow | undefined
    return row && row.seq > this.#takenSeq ? viewOf(row) : undefined
  }

  /** What the database refused, the oldest first. @throws {StorageUnavailableError} the file cannot be read */
  async aside(limit: number): Promise<AsideCallback[]> {
    return ((await this.#opened.call('aside', { limit })) as AsideRow[]).map(asideOf)
  }

  /**
   * Gives what was set aside to the database once more, without some of its columns.
   * @returns whether there was such a callback
   * @throws {IdempotencyKeyReusedError} its key came with other ids since
   * @throws {StorageUnavailableError} the file cannot be written
   */
  async putBack(id: string, without: readonly OptionalColumn[]): Promise<boolean> {
    const outcome = await this.#opened.call('putBack', { id, without })
    if (outcome === 'key_reused') throw new IdempotencyKeyReusedError()
    return outcome === 'put_back'
  }

  /** Forgets what was set aside, for good. @returns what it was; undefined when there was none. @throws {StorageUnavailableError} */
  async drop(id: string): Promise<AsideCallback | undefined> {
    const row = (await this.#opened.call('drop', id)) as AsideRow | undefined
    return row && asideOf(row)
  }

  async #appendAll(callbacks: readonly NewCallback[]): Promise<(Accepted | Error)[]> {
    const { nowMs, ownerOf, onKept } = this.#options
    const received_ms = nowMs()
    // Asked now, not earlier: the database has the keys of what was forgotten before, and the file those of what is forgotten later.
    const isRival = callbacks.map(({ id, idempotencyKey: key }) => key !== undefined && (ownerOf(key) ?? id) !== id)
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
