import pLimit, { type LimitFunction } from 'p-limit'
import { type Backoff, backoffMs } from './backoff.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import { FetchError, type FetchedObject } from './fetched-object.ts'
import type { ObjectId } from './object-id.ts'
import type { Outcome } from './outcome.ts'
import { StorageUnavailableError } from './storage-errors.ts'

/** The client service, as the refresher needs it. */
export interface ObjectSource {
  /**
   * Asks once.
   * @returns what it said, and a handle by which the observer knows this fetch again; undefined when there is no such object
   * @throws {FetchError}
   */
  fetch(id: ObjectId): Promise<{ readonly online: boolean; readonly handle: unknown } | undefined>
}

export interface ObjectStore {
  /** Resolves when the object is stored, or a newer sighting of it was already. */
  upsert(object: FetchedObject, callbackId: string): Promise<void>
}

/** Rests that can be ended all at once. */
export interface Rests {
  rest(ms: number): Promise<void>
  endAll(): void
}

export interface RefreshObserver {
  fetched(result: 'ok' | 'not_found' | string, seconds: number): void
  /** A callback was served by another's fetch. `sinceMs` is performance.now() when it joined. */
  shared(id: ObjectId, handle: unknown, sinceMs: number): void
}

export interface ObjectRefresherOptions {
  readonly source: ObjectSource
  readonly store: ObjectStore
  readonly breaker: CircuitBreaker
  readonly observer: RefreshObserver
  /** Requests under way at once, in the whole process. */
  readonly concurrency: number
  /** Requests an object gets in one attempt of its callback. */
  readonly maxTries: number
  readonly backoff: Backoff
  /** How long a fetch may be held by the breaker before its callback goes back to the inbox. */
  readonly maxHoldMs: number
  readonly keepOffline: boolean
  /** The database's clock, never ahead of it. */
  readonly databaseNowMs: () => number
  readonly rests: Rests
  readonly random: () => number
}

/** When the request left whose answer will count; undefined while none is on its way. */
interface Departure {
  leftAtMs: number | undefined
}

/** The fetch and the storing of an object under way. */
interface Refresh {
  readonly departure: Departure
  readonly outcome: Promise<Outcome>
}

type Try =
  | { readonly object: FetchedObject; readonly handle: unknown }
  | 'not_found'
  | 'held'
  | { readonly error: FetchError; readonly isProbe: boolean }

/**
 * Fetches objects and has them stored, under one bound for the process.
 *
 * An id wanted by several callbacks is fetched once, as long as the answer is fresh for each of them: a callback joins a fetch that has not
 * left yet, or that left after the callback was accepted. One that left earlier may have read what the event says has changed since.
 */
export class ObjectRefresher {
  readonly #options: ObjectRefresherOptions
  readonly #limit: LimitFunction
  readonly #refreshes = new Map<ObjectId, Refresh>()
  #isStopping = false

  constructor(options: ObjectRefresherOptions) {
    this.#options = options
    this.#limit = pLimit(options.concurrency)
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#limit.activeCount
  }

  /** Requests that wait for one under way to end. */
  get waiting(): number {
    return this.#limit.pendingCount
  }

  /** Takes effect with the next request. */
  set concurrency(concurrency: number) {
    this.#limit.concurrency = concurrency
  }

  get concurrency(): number {
    return this.#limit.concurrency
  }

  /** Begins no more requests: what has no answer when the requests under way end is `pending`, uncharged. */
  stop(): void {
    this.#isStopping = true
    this.#options.rests.endAll()
  }

  async refresh(id: ObjectId, callback: { readonly id: string; readonly receivedAtMs: number }): Promise<Outcome> {
    const running = this.#refreshes.get(id)
    if (!running || (running.departure.leftAtMs ?? callback.receivedAtMs) < callback.receivedAtMs) return this.#begin(id, callback.id)
    const since = performance.now()
    const outcome = await running.outcome
    this.#options.observer.shared(id, 'handle' in outcome ? outcome.handle : undefined, since)
    return outcome
  }

  #begin(id: ObjectId, callbackId: string): Promise<Outcome> {
    const departure: Departure = { leftAtMs: undefined }
    const outcome = this.#fetchAndStore(id, callbackId, departure).finally(() => {
      // A fresher one may have taken its place.
      if (this.#refreshes.get(id)?.departure === departure) this.#refreshes.delete(id)
    })
    this.#refreshes.set(id, { departure, outcome })
    return outcome
  }

  async #fetchAndStore(id: ObjectId, callbackId: string, departure: Departure): Promise<Outcome> {
    const { keepOffline, store } = this.#options
    const result = await this.#fetch(id, departure)
    if (!('object' in result)) return result
    if (!result.object.online && !keepOffline) return { kind: 'offline', handle: result.handle }
    try {
      await store.upsert(result.object, callbackId)
    } catch (error) {
      if (error instanceof StorageUnavailableError) return { kind: 'pending', reason: error.code, isCharged: false }
      throw error
    }
    return { kind: 'stored', handle: result.handle }
  }

  /** Asks until there is an answer, tries are used up, or the breaker holds the host for too long. */
  async #fetch(id: ObjectId, departure: Departure): Promise<Outcome | { object: FetchedObject; handle: unknown }> {
    const { maxTries, backoff, maxHoldMs, breaker, random } = this.#options
    let tries = 0
    let heldMs = 0
    while (!this.#isStopping) {
      departure.leftAtMs = undefined
      const result = await this.#limit(() => this.#try(id, departure))
      if (result === 'held') {
        // While a probe is out there is no telling how long: look again soon.
        const waitMs = breaker.waitMs || 250
        heldMs += waitMs
        if (heldMs > maxHoldMs) return { kind: 'pending', reason: 'client_service_unavailable', isCharged: false }
        await this.#rest(waitMs * (1 + random() / 4))
      } else if (result === 'not_found') {
        return { kind: 'not_found' }
      } else if ('object' in result) {
        return result
      } else {
        const { reason, isRetryable } = result.error
        if (!isRetryable) return { kind: 'failed', reason }
        tries += 1
        if (tries >= maxTries) return { kind: 'pending', reason, isCharged: !result.isProbe && breaker.state === 'closed' }
        await this.#rest(backoffMs(backoff, tries, random()))
      }
    }
    return { kind: 'pending', reason: 'interrupted', isCharged: false }
  }

  async #rest(ms: number): Promise<void> {
    if (!this.#isStopping) await this.#options.rests.rest(ms)
  }

  async #try(id: ObjectId, departure: Departure): Promise<Try> {
    const { source, breaker, observer, databaseNowMs } = this.#options
    const pass = this.#isStopping ? undefined : breaker.admit()
    if (!pass) return 'held'
    const fetchedAtMs = databaseNowMs()
    departure.leftAtMs = fetchedAtMs
    const started = performance.now()
    const seconds = (): number => (performance.now() - started) / 1000
    try {
      const answer = await source.fetch(id)
      breaker.report(pass, 'succeeded')
      observer.fetched(answer ? 'ok' : 'not_found', seconds())
      return answer ? { object: { id, online: answer.online, fetchedAtMs }, handle: answer.handle } : 'not_found'
    } catch (error) {
      if (!(error instanceof FetchError) || this.#isStopping) {
        breaker.report(pass, 'abandoned')
        if (this.#isStopping) return 'held'
        throw error
      }
      observer.fetched(error.reason, seconds())
      breaker.report(pass, error.isHostTrouble ? 'failed' : 'succeeded')
      if (error.retryAfterMs !== undefined) breaker.pause(error.retryAfterMs)
      return { error, isProbe: pass.isProbe }
    }
  }
}
