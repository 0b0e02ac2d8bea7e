import { setImmediate } from 'node:timers/promises'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { type CallbackView, isFinished } from '../domain/callback.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

/** Interval at which the waiters look for callbacks that other replicas finished. */
const POLL_MS = 250
/** Least time between two looks. All callbacks that this process settles meanwhile share the next look. */
const MIN_GAP_MS = 20
/** Requests that get their answer in one go. Then others have their turn, because a large answer takes half a millisecond to write. */
const MAX_AT_ONCE = 16

export interface CallbackWaitersOptions {
  /** Maximum number of requests that wait. */
  readonly max: number
  /** Reads those of the callbacks that are finished, in one statement. @throws {StorageUnavailableError} */
  readonly findFinished: (ids: readonly string[]) => Promise<readonly CallbackView[]>
  readonly logger: Logger
}

interface Waiter {
  readonly end: (finished: CallbackView | undefined) => void
  readonly timer: NodeJS.Timeout
}

/**
 * The requests that wait for the end of a callback. One statement serves all of them: at once when this process settles one of their
 * callbacks, and four times a second for those of other replicas. Without requests that wait, there is no statement.
 * Stop: all requests get their answer at once, and no further one may wait. `looking` stops by itself, because a look may hang with the database.
 */
export class CallbackWaiters implements Part {
  readonly name = 'waiting requests'
  /** Looks for finished callbacks. Start it with the service, and stop it after the requests. */
  readonly looking: Loop
  readonly #options: CallbackWaitersOptions
  readonly #waiting = new Map<string, Set<Waiter>>()
  /** Callbacks that are probably finished. */
  readonly #hinted = new Set<string>()
  #count = 0
  #isStopped = false
  #nextPollMs = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: CallbackWaitersOptions) {
    this.#options = options
    this.looking = new Loop({
      name: 'look for finished callbacks',
      logger: options.logger,
      isReportedElsewhere: isStorageTrouble,
      pass: () => this.#look(),
    })
  }

  /** Number of requests that wait. */
  get count(): number {
    return this.#count
  }

  stop(): void {
    this.#isStopped = true
    for (const [id, waiters] of this.#waiting) for (const waiter of waiters) this.#end(id, waiter, undefined)
  }

  /**
   * Takes a place for a request that waits for a callback.
   * @param mayBeFinished whether to look at once
   * @returns undefined if no place is free, or the service stops
   */
  take(id: string, { waitMs, mayBeFinished }: { readonly waitMs: number; readonly mayBeFinished: boolean }) {
    if (this.#isStopped || this.#count >= this.#options.max) return undefined
    const { promise: finished, resolve: end } = Promise.withResolvers<CallbackView | undefined>()
    const waiter: Waiter = { end, timer: setTimeout(() => this.#end(id, waiter, undefined), waitMs) }
    if (this.#count === 0) this.#nextPollMs = performance.now() + POLL_MS
    const waiters = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiters.add(waiter))
    this.#count += 1
    if (mayBeFinished) this.#hinted.add(id)
    if (this.#count === 1 || mayBeFinished) this.looking.wake()
    return { finished, leave: (): void => this.#end(id, waiter, undefined) }
  }

  onEvent(happened: CallbackEvent): void {
    if ((happened.event !== 'settled' && happened.event !== 'steered') || !isFinished(happened.state) || !this.#waiting.has(happened.id))
      return
    this.#hinted.add(happened.id)
    this.looking.wake()
  }

  /** @returns milliseconds until the next look */
  async #look(): Promise<number> {
    if (this.#count === 0) return Number.POSITIVE_INFINITY
    const now = performance.now()
    const isPoll = now >= this.#nextPollMs
    const untilMs = this.#hinted.size > 0 ? this.#lookedAtMs + MIN_GAP_MS : this.#nextPollMs
    if (!isPoll && now < untilMs) return Math.min(untilMs, this.#nextPollMs) - now
    this.#lookedAtMs = now
    const ids = [...(isPoll ? this.#waiting.keys() : this.#hinted)]
    // A callback that is finished during the look gets a new hint, because the look may miss it.
    this.#hinted.clear()
    let ended = 0
    for (const callback of await this.#findFinished(ids))
      for (const waiter of this.#waiting.get(callback.id) ?? []) {
        this.#end(callback.id, waiter, callback)
        ended += 1
        if (ended % MAX_AT_ONCE === 0) await setImmediate()
      }
    if (isPoll) this.#nextPollMs = now + POLL_MS
    return MIN_GAP_MS
  }

  async #findFinished(ids: readonly string[]): Promise<readonly CallbackView[]> {
    try {
      return await this.#options.findFinished(ids)
    } catch (error) {
      // The next look takes the same callbacks.
      for (const id of ids) if (this.#waiting.has(id)) this.#hinted.add(id)
      throw error
    }
  }

  #end(id: string, waiter: Waiter, finished: CallbackView | undefined): void {
    const waiters = this.#waiting.get(id)
    if (!waiters?.delete(waiter)) return
    if (waiters.size === 0) {
      this.#waiting.delete(id)
      this.#hinted.delete(id)
    }
    this.#count -= 1
    clearTimeout(waiter.timer)
    waiter.end(finished)
  }
}
