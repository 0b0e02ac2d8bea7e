import { type Backoff, backoffMs } from './backoff.ts'
import type { CircuitBreaker, Pass } from './circuit-breaker.ts'
import type { FairSlots } from './fair-slots.ts'
import { FetchError, type FetchedObject, type ObjectAnswer } from './fetched-object.ts'
import type { ObjectId } from './object-id.ts'
import type { Outcome } from './outcome.ts'

/** The client service, as the fetcher needs it. */
export interface ObjectSource {
  /**
   * Sends one request for the object.
   * @returns undefined if the client service has no such object
   * @throws {FetchError} the request brought no valid answer
   */
  fetch(id: ObjectId): Promise<ObjectAnswer | undefined>
}

/** Rests that can be ended all at once. */
export interface Rests {
  rest(ms: number): Promise<void>
  endAll(): void
}

export interface ObjectFetcherOptions {
  readonly source: ObjectSource
  readonly breaker: CircuitBreaker
  /** Called after each request. */
  readonly onFetched: (result: 'ok' | 'not_found' | string, seconds: number) => void
  /** Bounds the requests under way in the whole process. All fetchers share it. */
  readonly slots: Pick<FairSlots, 'run'>
  /** Maximum number of requests for one object in one attempt of its callback. */
  readonly maxTries: number
  readonly backoff: Backoff
  /** Maximum time the breaker may hold a fetch before its callback goes back to the inbox. */
  readonly maxHoldMs: number
  /** The time of the database's clock as this process knows it, never ahead of it. */
  readonly databaseNowMs: () => number
  /** This process's monotonic clock. */
  readonly nowMs: () => number
  /** Rests between the tries of an object. */
  readonly rests: Rests
  /** Rests of fetches that the breaker holds. They end when requests may leave again. */
  readonly holds: Rests
  readonly random: () => number
}

/** When a request left. */
export interface Departure {
  /** By this process's monotonic clock. */
  readonly leftAtMs: number
  /** By the database's clock. It decides which of two answers is newer. */
  readonly fetchedAtMs: number
}

/** A fetch under way, with all its tries. */
export interface Fetch {
  /** When the request left whose answer counts; undefined while no request is under way. */
  readonly departure: Departure | undefined
  readonly result: Promise<Fetched | Outcome>
}

export interface Fetched {
  readonly object: FetchedObject
  readonly answer: ObjectAnswer
}

/** A fetch whose departure the fetcher updates with each try. */
interface Asked {
  readonly id: ObjectId
  readonly workspace: string
  readonly isWanted: () => boolean
  departure: Departure | undefined
}

/** Time after which the breaker knows whether a failure was the object's own or the host's: see `CircuitBreaker`. */
const VERDICT_MS = 1000
const MIN_HOLD_MS = 50
const INTERRUPTED = { kind: 'pending', reason: 'interrupted', isCharged: false } as const

type Try = Fetched | 'not_found' | 'held' | 'unwanted' | { readonly error: FetchError; readonly isProbe: boolean }

/** Asks one client service for objects, with retries. */
export class ObjectFetcher {
  readonly #options: ObjectFetcherOptions
  #isStopping = false
  #underWay = 0
  #onIdle: () => void = () => undefined

  constructor(options: ObjectFetcherOptions) {
    this.#options = options
  }

  /** Resolves when no fetch is under way. Call it once, when nobody begins another fetch. */
  idle(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#onIdle = resolve
    })
  }

  /** Begins no more requests. Fetches that get no answer from the requests under way end as `pending`, uncharged. */
  stop(): void {
    this.#isStopping = true
    this.#options.rests.endAll()
    this.resume()
  }

  /** Ends the rests of held fetches early, because requests may leave again. */
  resume(): void {
    this.#options.holds.endAll()
  }

  /**
   * Sends requests until one is answered or the tries are used up. It also gives up if the breaker holds the fetch, or a Retry-After delays
   * it, for longer than `maxHoldMs`.
   * @param isWanted whether a callback still waits for the object; otherwise no further request leaves
   */
  fetch(id: ObjectId, workspace: string, isWanted = () => true): Fetch {
    const asked: Asked = { id, workspace, isWanted, departure: undefined }
    return Object.assign(asked, { result: this.#counted(asked) })
  }

  async #counted(asked: Asked): Promise<Fetched | Outcome> {
    this.#underWay += 1
    try {
      return await this.#fetch(asked)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#onIdle()
    }
  }

  async #fetch(asked: Asked): Promise<Fetched | Outcome> {
    const { slots, maxTries, backoff, maxHoldMs, breaker, rests, holds, random } = this.#options
    const { id, workspace } = asked
    let tries = 0
    let heldMs = 0
    while (!this.#isStopping && asked.isWanted()) {
      const quiet = breaker.quietOf(id)
      if (quiet && quiet.ms > maxHoldMs) return this.#giveUp(id, { reason: quiet.reason, isProbe: false })
      asked.departure = undefined
      if (quiet) await this.#rest(rests, quiet.ms)
      const result = await slots.run(workspace, () => this.#try(asked))
      if (result === 'held') {
        const waitMs = Math.max(breaker.waitMs, MIN_HOLD_MS)
        heldMs += waitMs
        if (heldMs > maxHoldMs) return { kind: 'pending', reason: 'client_service_unavailable', isCharged: false }
        await this.#rest(holds, waitMs * (1 + random() / 4))
      } else if (result === 'unwanted') {
        return INTERRUPTED
      } else if (result === 'not_found') {
        return { kind: 'not_found' }
      } else if ('object' in result) {
        return result
      } else {
        const { reason, isRetryable } = result.error
        if (!isRetryable) return { kind: 'failed', reason }
        tries += 1
        if (tries >= maxTries) return this.#giveUp(id, { reason, isProbe: result.isProbe })
        await this.#rest(rests, backoffMs(backoff, tries, random()))
      }
    }
    return INTERRUPTED
  }

  /** Gives the object up until the next attempt. Waits until it is known whether the host is to blame; otherwise the attempt is charged. */
  async #giveUp(id: ObjectId, { reason, isProbe }: { reason: string; isProbe: boolean }): Promise<Outcome> {
    const { breaker, rests } = this.#options
    const failedAtMs = breaker.nowMs
    if (breaker.isInDoubt && breaker.wasHostWell(failedAtMs)) await this.#rest(rests, VERDICT_MS)
    if (this.#isStopping) return INTERRUPTED
    const isCharged = !isProbe && breaker.wasHostWell(failedAtMs)
    return { kind: 'pending', reason, isCharged, retryAfterMs: breaker.quietOf(id)?.ms ?? 0 }
  }

  async #rest(rests: Rests, ms: number): Promise<void> {
    if (!this.#isStopping) await rests.rest(ms)
  }

  async #try(asked: Asked): Promise<Try> {
    if (!asked.isWanted()) return 'unwanted'
    const pass = this.#isStopping ? undefined : this.#options.breaker.admit(asked.id)
    if (!pass) return 'held'
    asked.departure = this.#departNow()
    return this.#ask(pass, asked.departure)
  }

  #departNow(): Departure {
    return { leftAtMs: this.#options.nowMs(), fetchedAtMs: this.#options.databaseNowMs() }
  }

  async #ask(pass: Pass, departure: Departure): Promise<Try> {
    const { source, breaker, onFetched, nowMs } = this.#options
    const { id } = pass
    const seconds = (): number => (nowMs() - departure.leftAtMs) / 1000
    try {
      const answer = await source.fetch(id)
      breaker.report(pass, 'answered')
      onFetched(answer ? 'ok' : 'not_found', seconds())
      return answer ? { object: { id, online: answer.online, ...departure }, answer } : 'not_found'
    } catch (error) {
      if (this.#isStopping) return 'held'
      if (!(error instanceof FetchError)) throw error
      onFetched(error.reason, seconds())
      this.#report(pass, error)
      return { error, isProbe: pass.isProbe }
    }
  }

  /**
   * Reports a failure, and asks for the witnesses that the breaker names. These requests ignore the bound, because hanging requests may
   * fill it.
   */
  #report(pass: Pass, { reason, isRetryable, isHostTrouble, retryAfterMs = 0 }: FetchError): void {
    const { breaker } = this.#options
    const result = isHostTrouble ? 'failed' : isRetryable ? 'pushed_back' : 'answered'
    breaker.report(pass, result, retryAfterMs > 0 ? { ms: retryAfterMs, reason } : undefined)
    for (const question of breaker.takeQuestions()) void this.#ask(question, this.#departNow())
  }
}
