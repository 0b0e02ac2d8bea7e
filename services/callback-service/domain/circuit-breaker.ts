/**
 * Decides whether a request may leave for the client service now.
 *
 * Closed: all may. After `failureThreshold` failures in a row it opens and none may, for `openMs`, doubling with each failed probe up to
 * `maxOpenMs`. Then one probe may leave: its success closes the breaker, its failure opens it again. A Retry-After pauses the whole
 * host in any state. Answers to requests that left before the last change of state change nothing.
 */
export interface CircuitBreakerOptions {
  readonly failureThreshold: number
  readonly openMs: number
  readonly maxOpenMs: number
  /** Bound for what a Retry-After may ask. */
  readonly maxPauseMs: number
  readonly nowMs: () => number
}

/** Leave to send one request. Report its end exactly once. */
export interface Pass {
  readonly epoch: number
  readonly isProbe: boolean
}

export type PassResult = 'succeeded' | 'failed' | 'abandoned'

export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions
  #state: 'closed' | 'open' | 'half-open' = 'closed'
  #epoch = 0
  #failures = 0
  #openings = 0
  #openUntilMs = 0
  #pausedUntilMs = 0
  #isProbing = false

  constructor(options: CircuitBreakerOptions) {
    this.#options = options
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.#state === 'open' && this.#options.nowMs() >= this.#openUntilMs) return 'half-open'
    return this.#state
  }

  /** Milliseconds until a request could leave; 0 when one can now (in half-open: unless a probe is already out). */
  get waitMs(): number {
    const now = this.#options.nowMs()
    const openMs = this.#state === 'open' ? this.#openUntilMs - now : 0
    return Math.max(0, openMs, this.#pausedUntilMs - now)
  }

  /** @returns undefined when nothing may leave now */
  admit(): Pass | undefined {
    if (this.waitMs > 0) return undefined
    if (this.#state === 'open') this.#enter('half-open')
    if (this.#state === 'closed') return { epoch: this.#epoch, isProbe: false }
    if (this.#isProbing) return undefined
    this.#isProbing = true
    return { epoch: this.#epoch, isProbe: true }
  }

  report(pass: Pass, result: PassResult): void {
    if (pass.epoch !== this.#epoch) return
    if (pass.isProbe) this.#isProbing = false
    if (result === 'succeeded') {
      this.#failures = 0
      this.#openings = 0
      if (this.#state === 'half-open') this.#enter('closed')
    } else if (result === 'failed') {
      this.#failures += 1
      if (pass.isProbe || this.#failures >= this.#options.failureThreshold) this.#open()
    }
  }

  /** The host asked for quiet (Retry-After): nobody asks it anything for so long. */
  pause(pauseMs: number): void {
    const until = this.#options.nowMs() + Math.min(pauseMs, this.#options.maxPauseMs)
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, until)
  }

  #open(): void {
    const { openMs, maxOpenMs, nowMs } = this.#options
    this.#openUntilMs = nowMs() + Math.min(maxOpenMs, openMs * 2 ** this.#openings)
    this.#openings += 1
    this.#enter('open')
  }

  #enter(state: 'closed' | 'open' | 'half-open'): void {
    this.#state = state
    this.#epoch += 1
    this.#failures = 0
    this.#isProbing = false
  }
}
