import type { ObjectId } from './object-id.ts'
import { type RetryAfter, RetryAfters } from './retry-afters.ts'
import { type Inquiry, Witnesses } from './witnesses.ts'

export interface CircuitBreakerOptions {
  /** Number of distinct objects whose failures put the host in doubt at once. */
  readonly objects: number
  /** Time from the opening to the first probe. */
  readonly openMs: number
  /** Maximum time between two probes. */
  readonly maxOpenMs: number
  /** Maximum time that a Retry-After may ask for. */
  readonly maxPauseMs: number
  /** Called when requests may leave again earlier than `waitMs` said. */
  readonly onResumed: () => void
  readonly nowMs: () => number
}

/** Permission to send one request. The caller reports its end once, or not at all if a stop ended it. */
export interface Pass {
  readonly id: ObjectId
  readonly isProbe: boolean
  readonly epoch: number
  readonly inquiry: Inquiry | undefined
}

/** `answered` includes a 404 or another final status. `pushed_back`: the host is up, and wants us to ask for the object later. */
export type PassResult = 'answered' | 'pushed_back' | 'failed'

const QUIET_MS = 250
const LONG_QUIET_MS = 5000
const PATIENCE_MS = 650
/** Failing objects to remember beyond those that put the host in doubt. They cannot be witnesses. */
const MAX_FAILING = 1000

/**
 * Decides whether a request may leave for the client service now, and whether the host or the object is to blame for a failure.
 *
 * The host is in doubt if `objects` distinct objects have failed since its last answer, and that answer is `QUIET_MS` old. If fewer objects
 * fail, the doubt arises `LONG_QUIET_MS` after the first failure. Then the breaker asks for the witnesses, the objects that were answered
 * last. Any answer ends the doubt. The breaker opens if all witnesses fail, or if nothing is answered for `PATIENCE_MS`. While the breaker
 * is open, a probe may leave every `openMs`. This time doubles with each probe, up to `maxOpenMs`. The first answer closes the breaker,
 * unless its request left before the doubt arose.
 *
 * If an object sends a Retry-After, the breaker leaves it alone for that time. If several objects do, it pauses the whole host (see
 * `RetryAfters`). The pause ends early if all witnesses are answered.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions
  readonly #retryAfters: RetryAfters
  /** The objects that failed since the last answer. */
  readonly #failing = new Set<ObjectId>()
  readonly #witnesses = new Witnesses()
  #failingSinceMs = 0
  #answeredAtMs = Number.NEGATIVE_INFINITY
  #isOpen = false
  #closedAtMs = Number.NEGATIVE_INFINITY
  #nextProbeAtMs = 0
  #probes = 0
  /** Increases when a doubt arises and when the breaker closes. */
  #epoch = 0
  /** Asks whether the host is down; undefined while the host is not in doubt. */
  #outageInquiry: Inquiry | undefined
  /** Asks whether it was right to pause the host. */
  #pauseInquiry: Inquiry | undefined
  readonly #questions: Pass[] = []

  constructor(options: CircuitBreakerOptions) {
    this.#options = options
    this.#retryAfters = new RetryAfters({ maxMs: options.maxPauseMs })
  }

  get state(): 'closed' | 'open' | 'half-open' {
    const now = this.#options.nowMs()
    if (!this.#isOpenAt(now)) return 'closed'
    return now < this.#nextProbeAtMs ? 'open' : 'half-open'
  }

  /** Milliseconds until a request may leave; 0 or less if one may leave now. */
  get waitMs(): number {
    const now = this.#options.nowMs()
    return Math.max(this.#isOpenAt(now) ? this.#nextProbeAtMs - now : 0, this.#retryAfters.hostMs(now))
  }

  /** The current time of the breaker's clock, for `wasHostWell`. */
  get nowMs(): number {
    return this.#options.nowMs()
  }

  /**
   * Whether the host has been well since that moment, so that a failure at that moment was the object's own.
   * The answer is final after a second: see `isInDoubt`.
   */
  wasHostWell(sinceMs: number): boolean {
    return !this.#isOpenAt(this.#options.nowMs()) && this.#closedAtMs < sinceMs && this.#retryAfters.hostMs(sinceMs) === 0
  }

  /** Whether a recent failure may still turn out to be the host's. One second later this is certain. */
  get isInDoubt(): boolean {
    return this.#failing.size > 0 || this.#retryAfters.isCounting(this.#options.nowMs())
  }

  /** @returns how long the object must still be left alone; undefined if it need not be */
  quietOf(id: ObjectId): RetryAfter | undefined {
    return this.#retryAfters.of(id, this.#options.nowMs())
  }

  /** @returns permission to send a request; undefined if none may leave now */
  admit(id: ObjectId): Pass | undefined {
    const now = this.#options.nowMs()
    if (this.#retryAfters.hostMs(now) > 0) return undefined
    const isProbe = this.#isOpenAt(now)
    if (isProbe) {
      if (now < this.#nextProbeAtMs) return undefined
      this.#probes += 1
      this.#scheduleProbe(now)
    }
    return { id, isProbe, epoch: this.#epoch, inquiry: undefined }
  }

  /** Takes in how a request ended. @param retryAfter only if the object sent a Retry-After above 0 */
  report(pass: Pass, result: PassResult, retryAfter?: RetryAfter): void {
    const now = this.#options.nowMs()
    if (result === 'failed') this.#failed(pass, now)
    else if (!this.#isOpenAt(now) || pass.epoch === this.#epoch) this.#answered(pass, result, now)
    if (retryAfter && this.#retryAfters.pushedBack(pass.id, retryAfter, now)) this.#pauseInquiry = this.#ask(now)
  }

  /** Returns the requests for witnesses and forgets them. They leave at once, without `admit`. */
  takeQuestions(): readonly Pass[] {
    return this.#questions.splice(0)
  }

  #answered({ id, inquiry }: Pass, result: 'answered' | 'pushed_back', now: number): void {
    this.#answeredAtMs = now
    if (this.#failing.size > 0) this.#failing.clear()
    this.#outageInquiry = undefined
    if (result === 'answered') {
      this.#retryAfters.answered(now)
      this.#witnesses.answered(id)
      if (inquiry) this.#witnessAnswered(inquiry)
    }
    if (this.#isOpen) {
      this.#isOpen = false
      this.#closedAtMs = now
      this.#epoch += 1
      this.#options.onResumed()
    }
  }

  #witnessAnswered(inquiry: Inquiry): void {
    inquiry.answered += 1
    if (inquiry !== this.#pauseInquiry || inquiry.answered < inquiry.witnesses) return
    this.#retryAfters.endPause()
    this.#options.onResumed()
  }

  #failed({ id, epoch, inquiry }: Pass, now: number): void {
    if (epoch !== this.#epoch) return
    if (this.#failing.size === 0) this.#failingSinceMs = now
    if (this.#failing.size < this.#options.objects + MAX_FAILING) this.#failing.add(id)
    if (this.#isOpenAt(now)) return
    if (inquiry) inquiry.failed += 1
    if (!this.#outageInquiry && this.#isDoubtful(now)) {
      this.#epoch += 1
      this.#outageInquiry = this.#ask(now)
    } else if (inquiry && inquiry === this.#outageInquiry && inquiry.failed === inquiry.witnesses) {
      this.#open(now)
    }
  }

  #isDoubtful(now: number): boolean {
    if (this.#failing.size >= this.#options.objects) return now - this.#answeredAtMs >= QUIET_MS
    return now - this.#failingSinceMs >= LONG_QUIET_MS
  }

  #ask(askedAtMs: number): Inquiry {
    const ids = this.#witnesses.except(id => this.#failing.has(id) || this.#retryAfters.of(id, askedAtMs) !== undefined)
    const inquiry: Inquiry = { askedAtMs, witnesses: ids.length, answered: 0, failed: 0 }
    this.#questions.push(...ids.map(id => ({ id, isProbe: false, epoch: this.#epoch, inquiry })))
    return inquiry
  }

  #isOpenAt(now: number): boolean {
    if (this.#outageInquiry && now - this.#outageInquiry.askedAtMs >= PATIENCE_MS) this.#open(this.#outageInquiry.askedAtMs + PATIENCE_MS)
    return this.#isOpen
  }

  #open(now: number): void {
    this.#isOpen = true
    this.#outageInquiry = undefined
    this.#probes = 0
    this.#scheduleProbe(now)
  }

  #scheduleProbe(now: number): void {
    const { openMs, maxOpenMs } = this.#options
    this.#nextProbeAtMs = now + Math.min(maxOpenMs, openMs * 2 ** this.#probes)
  }
}
