import { inHalves } from './halving.ts'

export interface BatcherOptions<Item, Result> {
  /** Writes all items or none. @returns one result for each item, in order */
  readonly write: (items: readonly Item[]) => Promise<readonly Result[]>
  /** Maximum number of items in one write. */
  readonly maxBatch: number
  /** Maximum number of writes at once (default: 1). */
  readonly maxInFlight?: number
  /** Maximum number of items that wait for a write (default: no bound). */
  readonly maxWaiting?: number
  /** Time a batch that is not full waits for more items (default: 0). */
  readonly lingerMs?: number
  /** Maximum time an item waits for its outcome (default: no bound). */
  readonly timeoutMs?: number
  /** Whether one item is to blame for an error. If so, the batch is halved until that item is alone. */
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

/**
 * Gathers items that arrive together into one write (group commit). Items that arrive while a write is under way form the next batch.
 *
 * Every wait is bounded. If `maxWaiting` items are waiting, `add` refuses more. After `timeoutMs` an item fails with `BatchTimeoutError`,
 * whether or not its write is under way.
 */
export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>
  /** Items that wait for a write, in order of arrival, which is also the order of their deadlines. */
  #waiting: Entry<Item, Result>[] = []
  readonly #writing = new Set<readonly Entry<Item, Result>[]>()
  #linger: NodeJS.Timeout | undefined
  #sweep: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []
  /** Whether what waits must not linger. */
  #isFlushed = false

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Adds an item to the next batch. Resolves with its result when the batch is written.
   * @throws {BatcherFullError} `maxWaiting` items are waiting already; nothing was done
   * @throws {BatchTimeoutError} there is no outcome within `timeoutMs`; the write may still happen
   * @throws what `write` threw for the item's batch
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

  /** Ends the linger: what waits is written as soon as a write may begin. */
  flush(): void {
    clearTimeout(this.#linger)
    this.#linger = undefined
    this.#isFlushed = this.#waiting.length > 0
    this.#pump()
  }

  /** Resolves when nothing waits and nothing is being written. */
  idle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#writing.size === 0) return Promise.resolve()
    return new Promise(resolve => this.#idle.push(resolve))
  }

  #pump(): void {
    const { maxBatch, maxInFlight = 1, lingerMs = 0 } = this.#options
    while (this.#waiting.length > 0 && this.#writing.size < maxInFlight) {
      if (lingerMs > 0 && this.#waiting.length < maxBatch && !this.#isFlushed) {
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
    if (this.#waiting.length === 0) this.#isFlushed = false
    if (batch.length === 0) return
    this.#writing.add(batch)
    void inHalves(batch, part => this.#write(part), this.#isItemFault).finally(() => {
      this.#writing.delete(batch)
      this.#pump()
      if (this.#waiting.length === 0 && this.#writing.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
    })
  }

  readonly #isItemFault = (error: unknown): boolean => this.#options.isItemFault?.(error) ?? false

  /** Writes a batch and settles its items. @throws the error if the batch must be halved */
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
