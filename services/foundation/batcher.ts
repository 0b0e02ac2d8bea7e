import { inHalves } from './halving.ts'

/**
 * Gathers items that arrive together into one write: group commit.
 *
 * Items that come while a write is under way form the next batch; with `lingerMs` a batch also waits that long for company.
 * At most `maxInFlight` writes run at once. Every wait is bounded: by `maxWaiting` items (then `add` is refused) and, where
 * `timeoutMs` is set, by time (then the item is answered `BatchTimeoutError`, whether or not its write is under way).
 */
export interface BatcherOptions<Item, Result> {
  /** Writes all items or none. @returns one result an item, in order */
  readonly write: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly maxBatch: number
  readonly maxInFlight?: number
  readonly maxWaiting?: number
  readonly lingerMs?: number
  readonly timeoutMs?: number
  /** Whether an error is one item's own fault: the batch is then halved until that item stands alone. */
  readonly isItemFault?: (error: unknown) => boolean
  readonly onWrite?: (size: number, seconds: number) => void
}

export class BatcherFullError extends Error {
  readonly code = 'BATCHER_FULL'
}

export class BatchTimeoutError extends Error {
  readonly code = 'BATCH_TIMEOUT'
}

interface Entry<Item, Result> {
  readonly item: Item
  readonly deadline: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
  settled: boolean
}

export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>
  /** In order of arrival, so also of deadline. Holds what waits and what is being written until it is answered. */
  #waiting: Entry<Item, Result>[] = []
  readonly #writing = new Set<readonly Entry<Item, Result>[]>()
  #linger: NodeJS.Timeout | undefined
  #sweep: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * @throws {BatcherFullError} `maxWaiting` items are waiting already; nothing was done
   * @throws {BatchTimeoutError} no outcome within `timeoutMs`; the write may still happen
   * @throws what `write` threw for the batch this item was in
   */
  add(item: Item): Promise<Result> {
    const { maxWaiting = Number.POSITIVE_INFINITY, timeoutMs = Number.POSITIVE_INFINITY } = this.#options
    if (this.#waiting.length >= maxWaiting) return Promise.reject(new BatcherFullError(`${maxWaiting} items are waiting already`))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, deadline: performance.now() + timeoutMs, resolve, reject, settled: false })
      if (Number.isFinite(timeoutMs)) this.#scheduleSweep(timeoutMs)
      this.#pump()
    })
  }

  /** Resolves when nothing waits and nothing is being written. */
  idle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#writing.size === 0) return Promise.resolve()
    return new Promise(resolve => this.#idle.push(resolve))
  }

  #pump(): void {
    const { maxBatch, maxInFlight = 1, lingerMs = 0 } = this.#options
    while (this.#waiting.length > 0 && this.#writing.size < maxInFlight) {
      if (lingerMs > 0 && this.#waiting.length < maxBatch) {
        this.#linger ??= setTimeout(() => {
          this.#linger = undefined
          if (this.#writing.size < maxInFlight) this.#writeNext()
        }, lingerMs)
        return
      }
      this.#writeNext()
    }
  }

  #writeNext(): void {
    const batch = this.#waiting.splice(0, this.#options.maxBatch)
    if (batch.length === 0) return
    this.#writing.add(batch)
    void inHalves(batch, part => this.#write(part), this.#isItemFault).finally(() => {
      this.#writing.delete(batch)
      this.#pump()
      if (this.#waiting.length === 0 && this.#writing.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
    })
  }

  readonly #isItemFault = (error: unknown): boolean => this.#options.isItemFault?.(error) ?? false

  /** Answers all of the batch, unless it is to be halved. */
  async #write(batch: readonly Entry<Item, Result>[]): Promise<void> {
    const started = performance.now()
    try {
      const results = await this.#options.write(batch.map(entry => entry.item))
      batch.forEach((entry, i) => {
        entry.settled = true
        entry.resolve(results[i] as Result)
      })
      this.#options.onWrite?.(batch.length, (performance.now() - started) / 1000)
    } catch (error) {
      if (batch.length > 1 && this.#isItemFault(error)) throw error
      for (const entry of batch) fail(entry, error)
    }
  }

  #scheduleSweep(delayMs: number): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined
      this.#failExpired()
    }, delayMs)
  }

  #failExpired(): void {
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    const expire = (entry: Entry<Item, Result>): void => {
      if (entry.settled) return
      if (entry.deadline <= now) fail(entry, new BatchTimeoutError(`no outcome within ${this.#options.timeoutMs} ms`))
      else next = Math.min(next, entry.deadline)
    }
    for (const batch of this.#writing) batch.forEach(expire)
    const fresh = this.#waiting.findIndex(entry => entry.deadline > now)
    for (const entry of this.#waiting.splice(0, fresh === -1 ? this.#waiting.length : fresh)) expire(entry)
    if (this.#waiting[0]) next = Math.min(next, this.#waiting[0].deadline)
    if (next !== Number.POSITIVE_INFINITY) this.#scheduleSweep(Math.max(1, next - now))
  }
}

function fail(entry: Entry<unknown, never>, error: unknown): void {
  entry.settled = true
  entry.reject(error)
}
