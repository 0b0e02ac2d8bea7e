import type { Backoff } from '#fetching/backoff.ts'
import type { ObjectId } from '#fetching/object-id.ts'
import type { Outcome } from '#fetching/outcome.ts'
import { Recall } from '#fetching/recall.ts'
import { Batcher } from '#foundation/batcher.ts'
import { Rests } from '#foundation/lifecycle/rest.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { AnswerbackUnavailableError, LeaseLostError } from '../domain/answerback-errors.ts'
import { type Answerback, type DeliveredObject, type Lease, MAX_DELIVERED, type Verdict } from '../domain/lease.ts'
import { waitMs } from '../domain/retries.ts'
import { crashed, verdictOf } from '../domain/verdict.ts'

/** Who asks for an object. */
export interface Asker {
  readonly id: string
  readonly attempt: number
  /** performance.now() when the lease came. Only a request that left later is fresh. */
  readonly freshFromMs: number
}

export interface LeaseWorkOptions {
  readonly answerback: Pick<Answerback, 'deliver' | 'extend' | 'end'>
  /** Fetches one object. It throws only if it has a bug. */
  readonly fetch: (id: ObjectId, asker: Asker, recall: Recall) => Promise<Outcome>
  /** Whether the lease may keep objects that the client service does not answer now, to probe it with. */
  readonly mayHold: () => boolean
  /** Waits between the tries of a request to the callback service. */
  readonly backoff: Backoff
  readonly random: () => number
  /** Called after each delivery. */
  readonly onDelivered: (objects: number, seconds: number) => void
  /** Called after each request that failed and may succeed later. */
  readonly onUnavailable: (reason: string) => void
  readonly logger: Logger
}

/**
 * Time for which objects wait for more that share their delivery. A delivery costs the callback service three statements, whatever its size. The last
 * objects of a lease do not wait.
 */
const LINGER_MS = 50
/** Maximum time for which a lease may probe a client service that is down. Then another agent may have the callback. */
const MAX_HOLD_MS = 60_000
const HOLD_REST_MS = 250

/**
 * The work on one leased callback: it fetches all objects at once, delivers them as they come, and gives the verdict.
 *
 * Each request renews the lease. If there is none for half the duration of the lease, the work extends it. While the callback service is away, the
 * work repeats its requests, until the lease must have ended. The callback service alone decides whether a lease is lost: the clock of this machine
 * may have stood still. A lost lease recalls its fetches.
 *
 * While the client service is down, one lease may hold its objects and probe with them for a minute. A callback that goes back each time has to wait
 * ever longer, and the agent would notice late that the client service is back.
 */
export class LeaseWork {
  readonly #lease: Lease
  readonly #options: LeaseWorkOptions
  readonly #recall = new Recall()
  readonly #deliveries: Batcher<DeliveredObject, undefined>
  readonly #delivered = new Set<ObjectId>()
  readonly #rests = new Rests()
  readonly #asker: Asker
  /** Number of objects whose outcome is not known yet. */
  #unknown: number
  #renewedAtMs: number
  #isLost = false
  #hasEnded = false
  #isAbandoned = false

  /** @param atMs performance.now() when the lease came */
  constructor(lease: Lease, atMs: number, options: LeaseWorkOptions) {
    this.#lease = lease
    this.#options = options
    this.#unknown = lease.objectIds.length
    this.#renewedAtMs = atMs
    this.#asker = { id: lease.location, attempt: lease.attempt, freshFromMs: atMs }
    this.#deliveries = new Batcher({ write: objects => this.#deliver(objects), maxBatch: MAX_DELIVERED, lingerMs: LINGER_MS })
  }

  /** Works until the lease has ended. @returns the state that the callback got; `lost` if the lease was lost */
  async run(): Promise<string> {
    void this.#keep()
    try {
      return await this.#work()
    } catch (error) {
      if (error instanceof LeaseLostError) return 'lost'
      this.#options.logger.error({ err: error, attempt: this.#lease.attempt }, 'leased callback could not be processed')
      return await this.#giveUp()
    } finally {
      this.#hasEnded = true
      this.#recall.call()
      this.#rests.endAll()
    }
  }

  /** Ends waits for the callback service at once. A request that fails after this is not repeated. */
  abandon(): void {
    this.#isAbandoned = true
    this.#rests.endAll()
  }

  async #work(): Promise<string> {
    const { objectIds } = this.#lease
    const outcomes = await Promise.all(objectIds.map(id => this.#fetch(id)))
    return this.#end(verdictOf(objectIds, outcomes))
  }

  /** Gives the callback back after an error of this agent. What was delivered stays. */
  async #giveUp(): Promise<string> {
    try {
      this.#recall.call()
      this.#deliveries.flush()
      await this.#deliveries.idle()
      return await this.#end(crashed(this.#lease.objectIds.filter(id => !this.#delivered.has(id))))
    } catch (error) {
      if (error instanceof LeaseLostError) return 'lost'
      this.#options.logger.error({ err: error, attempt: this.#lease.attempt }, 'leased callback could not be given back')
      return 'lost'
    }
  }

  async #fetch(id: ObjectId): Promise<Outcome> {
    let outcome = await this.#ask(id)
    while (isHeldUp(outcome) && this.#mayHold()) {
      await this.#rests.rest(HOLD_REST_MS)
      outcome = await this.#ask(id)
    }
    this.#unknown -= 1
    const delivered = 'answer' in outcome ? this.#deliveries.add({ id, online: outcome.answer.online }) : undefined
    if (this.#unknown === 0) this.#deliveries.flush()
    await delivered
    return outcome
  }

  #ask(id: ObjectId): Promise<Outcome> {
    return this.#recall.orEarlier(this.#options.fetch(id, this.#asker, this.#recall))
  }

  #mayHold(): boolean {
    const heldMs = performance.now() - this.#asker.freshFromMs
    return heldMs < MAX_HOLD_MS && !this.#isLost && !this.#hasEnded && this.#options.mayHold()
  }

  async #deliver(objects: readonly DeliveredObject[]): Promise<undefined[]> {
    const started = performance.now()
    await this.#use(() => this.#options.answerback.deliver(this.#lease, objects))
    for (const { id } of objects) this.#delivered.add(id)
    this.#options.onDelivered(objects.length, (performance.now() - started) / 1000)
    return objects.map(() => undefined)
  }

  #end(verdict: Verdict): Promise<string> {
    return this.#use(() => this.#options.answerback.end(this.#lease, verdict))
  }

  /** Keeps the lease while nothing else uses it. */
  async #keep(): Promise<void> {
    const { answerback, logger } = this.#options
    while (!this.#hasEnded && !this.#isLost) {
      const restMs = this.#renewedAtMs + this.#lease.durationMs / 2 - performance.now()
      if (restMs > 0) await this.#rests.rest(restMs)
      else
        await this.#use(() => answerback.extend(this.#lease)).catch(error => {
          if (this.#hasEnded || error instanceof LeaseLostError) return
          logger.error({ err: error }, 'lease could not be extended')
          this.#lose()
        })
    }
  }

  /** Sends a request until it is answered. @throws {LeaseLostError} the lease has ended, or must have ended */
  async #use<T>(request: () => Promise<T>): Promise<T> {
    const { backoff, random, onUnavailable } = this.#options
    for (let failures = 1; ; failures++) {
      if (this.#isLost) throw new LeaseLostError('the lease is lost')
      const sentAtMs = performance.now()
      try {
        const answer = await request()
        this.#renewedAtMs = Math.max(this.#renewedAtMs, sentAtMs)
        return answer
      } catch (error) {
        if (error instanceof LeaseLostError) this.#lose()
        if (!(error instanceof AnswerbackUnavailableError)) throw error
        onUnavailable(error.reason)
        const hasEnded = performance.now() - this.#renewedAtMs > this.#lease.durationMs
        if (hasEnded || this.#isAbandoned) {
          this.#lose()
          throw new LeaseLostError('the callback service is away', { cause: error })
        }
        await this.#rests.rest(waitMs(backoff, failures, error, random()))
      }
    }
  }

  #lose(): void {
    this.#isLost = true
    this.#recall.call()
  }
}

/** Whether the client service was in trouble, and not the object. */
function isHeldUp(outcome: Outcome): boolean {
  return outcome.kind === 'pending' && !outcome.isCharged && outcome.reason !== 'interrupted'
}
