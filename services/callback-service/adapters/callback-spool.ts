import { Worker } from 'node:worker_threads'
import { Batcher, BatcherFullError, BatchTimeoutError } from '#foundation/batcher.ts'
import type { Part } from '#foundation/lifecycle.ts'
import type { Logger } from '#foundation/logger.ts'
import { Loop } from '#foundation/loop.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../domain/accept-errors.ts'
import type { Accepted } from '../domain/acceptance.ts'
import { StorageUnavailableError } from '../domain/storage-errors.ts'
import type { CallbackView } from './callback-reader.ts'
import { columns, type NewCallback } from './new-callback.ts'
import type { Kept, NumberedRow, SpooledRow, SpoolSize } from './spool-file.ts'
import type { SpoolAnswer, SpoolCall } from './spool-thread.ts'

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
  readonly onKept: (count: number, seconds: number) => void
  readonly logger: Logger
}

/**
 * Where callbacks wait while the database cannot take them: a journal on the local disk, flushed before `accept` resolves. Those that arrive
 * together share one flush. What a process left there when it died is found by the next one.
 */
export class CallbackSpool implements Part {
  readonly name = 'spool'
  readonly #options: CallbackSpoolOptions
  readonly #batcher: Batcher<NewCallback, Accepted | Error>
  readonly #opening: Loop
  readonly #tried = Promise.withResolvers<void>()
  #thread: Worker | undefined
  #problem: string | undefined = 'not open yet'
  readonly #calls: { readonly resolve: (result: unknown) => void; readonly reject: (error: unknown) => void }[] = []
  #size: SpoolSize = { callbacks: 0, setAside: 0, bytes: 0 }
  #arriving = 0
  #takenSeq = 0
  /** Whether the rows read last were all there were. */
  #wereAll = false
  #mustFollow = true

  constructor(options: CallbackSpoolOptions) {
    this.#options = options
    this.#batcher = new Batcher({
      write: callbacks => this.#append(callbacks),
      maxBatch: options.maxBatch,
      maxWaiting: options.maxWaiting,
      timeoutMs: options.timeoutMs,
      onWrite: options.onKept,
    })
    this.#opening = new Loop({
      name: 'open spool',
      logger: options.logger,
      pass: async () => {
        await this.#open().finally(() => this.#tried.resolve())
        return Number.POSITIVE_INFINITY
      },
    })
  }

  /** Callbacks that the database has not taken yet, or that are on their way to the disk. */
  get callbacks(): number {
    return this.#size.callbacks + this.#arriving
  }

  /**
   * Whether what comes must go behind what is here: until the database has taken all there was. What arrived meanwhile follows at once, but
   * does not hold up what comes: where callbacks arrive all the time, the spool is never empty. A spool that broke is not in use: the database
   * is all there is.
   */
  get isInUse(): boolean {
    return this.#thread !== undefined && this.#mustFollow && this.callbacks > 0
  }

  /** Callbacks that the database refused: they stay here, for a person to look at. */
  get setAsideCount(): number {
    return this.#size.setAside
  }

  /** Whether it can keep another callback, as far as is known. */
  get hasRoom(): boolean {
    return this.#thread !== undefined && this.#size.bytes < this.#options.maxBytes
  }

  get bytes(): number {
    return this.#size.bytes
  }

  /** Why it is of no use; undefined while it is. */
  get problem(): string | undefined {
    return this.#problem
  }

  /**
   * Opens the file. Where that cannot be done, because it is no spool, cannot be written, or another process still has it open, the service does
   * without and it is tried again: what the database takes should not be refused for the lack of a spool.
   */
  async start(): Promise<void> {
    this.#opening.start()
    await this.#tried.promise
  }

  async #open(): Promise<void> {
    const { path, maxBytes } = this.#options
    const thread = new Worker(new URL('./spool-thread.ts', import.meta.url), { workerData: { path, maxBytes }, stderr: true })
    await new Promise<void>((resolve, reject) => {
      thread.once('error', error => {
        this.#problem = `the spool ${path} cannot be opened: ${error.message}`
        reject(new Error(this.#problem, { cause: error }))
      })
      thread.once('message', ({ size }: SpoolAnswer) => {
        this.#size = size ?? this.#size
        resolve()
      })
    })
    thread.removeAllListeners('error')
    thread.on('message', (answer: SpoolAnswer) => this.#answered(answer))
    thread.on('error', error => this.#broke(error))
    this.#thread = thread
    this.#problem = undefined
  }

  /** Closes the file when what is on its way is on the disk. What it holds stays there. */
  async stop(): Promise<void> {
    await this.#opening.stop()
    if (!this.#thread) return
    await this.#batcher.idle()
    await this.#call('close', undefined)
    this.#thread = undefined
  }

  /**
   * @returns when the callback is on the disk
   * @throws {StorageUnavailableError} the spool is full or broken
   * @throws {OverloadedError} too many wait already; nothing was stored
   * @throws {IdempotencyKeyReusedError} the key came with other ids before
   */
  async accept(callback: NewCallback): Promise<Accepted> {
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

  /** What the database has not taken yet, in the order in which it came. */
  async oldest(limit: number): Promise<NumberedRow[]> {
    const rows = (await this.#call('oldest', { after: this.#takenSeq, limit })) as NumberedRow[]
    this.#wereAll = rows.length < limit
    return rows
  }

  /**
   * Forgets what the database has taken: all that came up to `seq`, or up to where it was told last.
   * @throws {StorageUnavailableError} it is still in the file, because the disk is full or broken; it is not given out again
   */
  async forget(seq = this.#takenSeq): Promise<void> {
    this.#takenSeq = seq
    if (this.#wereAll) this.#mustFollow = false
    await this.#call('forget', seq)
  }

  /** Keeps a callback aside that the database refuses: it is not tried again. */
  async setAside(seq: number): Promise<void> {
    await this.#call('setAside', seq)
  }

  /** @returns undefined when it is not here */
  async find(id: string): Promise<CallbackView | undefined> {
    if (!this.#thread || this.callbacks === 0) return undefined
    const row = (await this.#call('find', id)) as NumberedRow | undefined
    return row && row.seq > this.#takenSeq ? viewOf(row) : undefined
  }

  async #append(callbacks: readonly NewCallback[]): Promise<(Accepted | Error)[]> {
    const received_ms = this.#options.nowMs()
    const kept = (await this.#call(
      'append',
      callbacks.map(callback => ({ ...columns(callback), received_ms })),
    )) as Kept[] | undefined
    if (!kept) throw new StorageUnavailableError('the database is away and the spool is full')
    return kept.map(row =>
      row === 'key_reused'
        ? new IdempotencyKeyReusedError('This idempotency key came with other object_ids before.')
        : { id: row.id, receivedAt: new Date(row.receivedMs), isReplay: row.isReplay },
    )
  }

  #call<Name extends SpoolCall['name']>(name: Name, argument: Extract<SpoolCall, { name: Name }>['argument']): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#thread) return reject(new StorageUnavailableError('the spool is closed'))
      this.#calls.push({ resolve, reject })
      this.#thread.postMessage({ name, argument })
    })
  }

  #answered({ result, error, size }: SpoolAnswer): void {
    this.#size = size ?? this.#size
    const call = this.#calls.shift()
    if (error) call?.reject(new StorageUnavailableError(`the spool cannot be written: ${(error as Error).message}`, { cause: error }))
    else call?.resolve(result)
  }

  #broke(error: unknown): void {
    this.#options.logger.error({ err: error }, 'the spool broke: without the database callbacks are refused until the service starts again')
    this.#thread = undefined
    this.#problem = 'it broke while it was open'
    for (const call of this.#calls.splice(0)) call.reject(new StorageUnavailableError('the spool broke', { cause: error }))
  }
}

function translate(error: unknown): unknown {
  if (error instanceof BatchTimeoutError) return new StorageUnavailableError('the spool did not answer in time', { cause: error })
  if (error instanceof BatcherFullError) return new OverloadedError('too many callbacks wait for the spool', { cause: error })
  return error
}

function viewOf(row: SpooledRow): CallbackView {
  const receivedAt = new Date(row.received_ms)
  return {
    id: row.id,
    state: 'pending',
    attempts: 0,
    objectIds: row.object_ids.slice(1, -1).split(',').filter(Boolean).map(BigInt),
    unstored: undefined,
    requestId: row.request_id ?? null,
    traceparent: row.traceparent ?? null,
    receivedAt,
    dueAt: receivedAt,
    finishedAt: null,
  }
}
