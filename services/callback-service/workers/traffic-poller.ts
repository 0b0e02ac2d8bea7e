import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble, StorageUnavailableError } from '../domain/storage-errors.ts'
import { type FoundReceipt, LastReceipts } from '../domain/traffic/last-receipts.ts'
import { type MinuteCount, type MinuteSpan, TrafficMinutes, WINDOW_MINUTES, WINDOW_MS } from '../domain/traffic/traffic-minutes.ts'

/** What reads the traffic from the database. Each throws StorageUnavailableError. */
export interface TrafficSource {
  read(span: MinuteSpan): Promise<{ readonly nowMs: number; readonly counts: readonly MinuteCount[] }>
  findLast(search: MinuteSpan & { readonly workspaces: readonly string[] }): Promise<readonly FoundReceipt[]>
  lastHours(workspaces: readonly string[]): Promise<ReadonlyMap<string, number>>
}

export interface TrafficPollerOptions {
  readonly source: TrafficSource
  /** The database's clock: the time now, and when it was last seen to step, by the monotonic clock. */
  readonly clock: { nowMs(): number; readonly steppedAtMs: number }
  /** Names of all workspaces. */
  readonly workspaces: () => readonly string[]
  /** Time for which finished callbacks are kept at least. */
  readonly retentionMs: () => number
  readonly logger: Logger
  /** A monotonic clock. Default: that of the process. */
  readonly nowMs?: () => number
}

/** What was read, and when. */
export interface KnownTraffic {
  readonly minutes: TrafficMinutes
  readonly receipts: LastReceipts
  /** The database's time of the last read. */
  readonly toMs: number
  readonly ageMs: number
}

const INTERVAL_MS = 5000
/** The reader forgets everything, and rests, if nobody has looked for this long. */
const FORGET_MS = 60_000
/** The whole window is read again after this time, or a hundred times what it takes, if that is more. */
const REREAD_MS = 60_000
const REREAD_PER_WORK = 100
/** Minutes that the first statement reads. A statement that takes longer than `SLOW_MS` halves the next, because lists wait for it. */
const FIRST_MINUTES = 4
const SLOW_MS = 500
/** A pass begins no further part of the window after this time. */
const BUDGET_MS = 1000
/** Rest after a pass, in times of its duration: a slow database pays at most a twentieth of the time of one connection. */
const REST_PER_WORK = 20
const MAX_REST_MS = 60_000
/** Failed steps of the search for last receipts, after which it is given up. */
const MAX_FAILED_SEARCHES = 3

/**
 * Reads the traffic of all workspaces every 5 s while somebody looks, for all who look. While the database is away, what was read last stays for
 * as long as its window. The window is read in parts: each that fails or is slow halves the next one, each other doubles it.
 */
export class TrafficPoller implements Part {
  readonly name = 'traffic'
  readonly #options: TrafficPollerOptions
  readonly #nowMs: () => number
  readonly #loop: Loop
  #minutes = new TrafficMinutes()
  #receipts = new LastReceipts()
  #toMs = 0
  #readAtMs: number | undefined
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #steppedAtMs = Number.NEGATIVE_INFINITY
  #maxMinutes = FIRST_MINUTES
  #rereadMs = REREAD_MS
  #failedSearches = 0
  #first: PromiseWithResolvers<void> | undefined

  constructor(options: TrafficPollerOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#loop = new Loop({
      name: this.name,
      logger: options.logger,
      retryMs: 1000,
      maxRetryMs: 10_000,
      isReportedElsewhere: isStorageTrouble,
      pass: () =>
        this.#pass().catch(error => {
          this.#endFirst(error)
          throw error
        }),
    })
  }

  start(): void {
    this.#loop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
    this.#first?.reject(new StorageUnavailableError('the service is shutting down'))
  }

  /**
   * Returns what is known, and keeps it up to date for the next minute. The first look waits for the database.
   * @throws {StorageUnavailableError} nothing is known, and the database cannot be read
   */
  async look(): Promise<KnownTraffic> {
    const now = this.#nowMs()
    if (now - this.#lookedAtMs > FORGET_MS) this.#forget()
    this.#lookedAtMs = now
    if (this.#readAtMs === undefined) {
      if (!this.#first) this.#loop.wake()
      this.#first ??= Promise.withResolvers()
      await this.#first.promise
    }
    if (this.#readAtMs === undefined) throw new StorageUnavailableError('the traffic could not be read')
    return { minutes: this.#minutes, receipts: this.#receipts, toMs: this.#toMs, ageMs: this.#nowMs() - this.#readAtMs }
  }

  async #pass(): Promise<number> {
    const startedMs = this.#nowMs()
    const { clock } = this.#options
    const isStale = this.#readAtMs !== undefined && startedMs - this.#readAtMs > WINDOW_MS
    const hasStepped = clock.steppedAtMs > this.#steppedAtMs
    this.#steppedAtMs = clock.steppedAtMs
    if (isStale || hasStepped) this.#forget()
    if (startedMs - this.#lookedAtMs > FORGET_MS) {
      this.#forget()
      return Number.POSITIVE_INFINITY
    }
    await this.#read(this.#spans()[0] as MinuteSpan)
    // One part after the other: between two, others have their turn with the connection.
    for (let [, older] = this.#spans(); older && this.#nowMs() - startedMs < BUDGET_MS; [, older] = this.#spans()) await this.#read(older)
    this.#endFirst()
    await this.#search()
    return Math.min(MAX_REST_MS, Math.max(INTERVAL_MS, REST_PER_WORK * (this.#nowMs() - startedMs)))
  }

  #spans(): MinuteSpan[] {
    return this.#minutes.spans(this.#options.clock.nowMs(), { maxMinutes: this.#maxMinutes, rereadMs: this.#rereadMs })
  }

  async #read(span: MinuteSpan): Promise<void> {
    const startedMs = this.#nowMs()
    try {
      const { nowMs, counts } = await this.#options.source.read(span)
      this.#minutes.take(span, nowMs, counts)
      this.#receipts.sighted(counts, this.#minutes)
      this.#toMs = nowMs
    } catch (error) {
      this.#maxMinutes = Math.max(1, Math.floor(this.#maxMinutes / 2))
      throw error
    }
    this.#readAtMs = this.#nowMs()
    const tookMs = this.#readAtMs - startedMs
    this.#rereadMs = Math.max(REREAD_MS, (REREAD_PER_WORK * tookMs * WINDOW_MS) / (span.toMs - span.fromMs))
    this.#maxMinutes = tookMs > SLOW_MS ? Math.max(1, Math.floor(this.#maxMinutes / 2)) : Math.min(WINDOW_MINUTES, 2 * this.#maxMinutes)
  }

  /** Lets those go on who wait for the first read. They fail if nothing is known. */
  #endFirst(error?: unknown): void {
    if (this.#readAtMs === undefined) this.#first?.reject(error)
    else this.#first?.resolve()
    this.#first = undefined
  }

  /** Takes one step of the search for last receipts. */
  async #search(): Promise<void> {
    const { source, workspaces, retentionMs } = this.#options
    const search = this.#receipts.nextSearch(workspaces(), this.#toMs, this.#toMs - retentionMs())
    if (!search || this.#failedSearches >= MAX_FAILED_SEARCHES) return
    try {
      if (!this.#receipts.hasHours) this.#receipts.tookHours(await source.lastHours(workspaces()))
      this.#receipts.found(search.fromMs, await source.findLast(search))
    } catch (error) {
      // The minutes are read. What is not found is shown as unknown.
      if (!isStorageTrouble(error)) throw error
      this.#failedSearches += 1
    }
  }

  #forget(): void {
    this.#minutes = new TrafficMinutes()
    this.#receipts = new LastReceipts()
    this.#readAtMs = undefined
    this.#failedSearches = 0
  }
}
