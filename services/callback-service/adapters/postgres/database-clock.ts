/** Maximum drift between two clocks, as a share of the elapsed time. */
const DRIFT = 0.001
/** An observation further than this outside the expected bounds is a step. Timers are no more exact. */
const TOLERANCE_MS = 2

/** Maximum time that a statement may take to begin. */
const ROOM_MS = 100
const FAR_AHEAD_MS = 1e14

/** A sudden change of the database's clock that this process has noticed. */
export interface ClockStep {
  /** Size of the step. A positive value means that the clock went forward. */
  readonly byMs: number
  /** The last moment at which the clock had not stepped yet, by this process's monotonic clock. */
  readonly afterMs: number
}

/**
 * Estimates the database's clock between statements, in epoch milliseconds. The error is at most the round trip of an answer. Each answer
 * that contains the time bounds the difference to this process's monotonic clock from both sides (Cristian's algorithm,
 * https://en.wikipedia.org/wiki/Cristian%27s_algorithm). An answer outside these bounds shows that the clock stepped.
 */
export class DatabaseClock {
  /** Lower and upper bound of the monotonic time minus the database's time. */
  #least = Number.NEGATIVE_INFINITY
  #most = Number.POSITIVE_INFINITY
  #observedAtMs = 0
  #lastMs = 0
  #step: ClockStep | undefined
  #steppedAtMs = Number.NEGATIVE_INFINITY

  /**
   * Learns from an answer that contains the database's time.
   * @param sentMs when the statement left, by the monotonic clock
   * @param receivedMs when the answer came, by the monotonic clock
   */
  observe(databaseMs: number, sentMs: number, receivedMs = performance.now()): void {
    // An answer to a statement that left before the step was noticed may contain the old time.
    if (sentMs < this.#steppedAtMs) return
    const [least, most] = [sentMs - databaseMs, receivedMs - databaseMs]
    const slackMs = DRIFT * Math.max(0, receivedMs - this.#observedAtMs)
    const [knownLeast, knownMost] = [this.#least - slackMs, this.#most + slackMs]
    if (least > knownMost + TOLERANCE_MS || most < knownLeast - TOLERANCE_MS) {
      this.#noteStep((knownLeast + knownMost - least - most) / 2, receivedMs)
      ;[this.#least, this.#most] = [least, most]
    } else {
      this.#least = Math.min(Math.max(least, knownLeast), most)
      this.#most = Math.max(Math.min(most, knownMost), least)
    }
    this.#observedAtMs = receivedMs
  }

  /**
   * The time now. It is never ahead of the database, and goes back only if the clock steps. Before the first observation it is the time of
   * this machine's clock.
   */
  nowMs(): number {
    if (!Number.isFinite(this.#most)) return Date.now()
    this.#lastMs = Math.max(this.#lastMs, this.at(performance.now()))
    return this.#lastMs
  }

  /** Converts a moment of the monotonic clock to the database's clock as it is now. The result is never ahead of that clock. */
  at(monotonicMs: number): number {
    return Number.isFinite(this.#most) ? monotonicMs - this.#most : Date.now() - (performance.now() - monotonicMs)
  }

  /**
   * The latest time that the database's clock can show now, plus 100 ms, unless it has stepped since the last observation. A step forward
   * counts from when it is made up for: until then rows have the old times. Before the first observation, a time thousands of years ahead.
   */
  latestNowMs(): number {
    const aheadMs = Math.max(0, this.#step?.byMs ?? 0)
    return Math.min(performance.now() - this.#least - aheadMs + ROOM_MS, FAR_AHEAD_MS)
  }

  /**
   * The earliest time that the database's clock can show now, unless it has gone back since the last observation. Before the first observation,
   * minus infinity.
   */
  earliestNowMs(): number {
    const nowMs = performance.now()
    return nowMs - this.#most - DRIFT * Math.max(0, nowMs - this.#observedAtMs) - TOLERANCE_MS
  }

  /**
   * When the last step was noticed, by the monotonic clock. Times that the database wrote before it cannot be compared with those it writes
   * now.
   */
  get steppedAtMs(): number {
    return this.#steppedAtMs
  }

  /** The step that was noticed but not made up for yet. Several steps are added up. */
  get step(): ClockStep | undefined {
    return this.#step
  }

  /** Forgets as much of the step as was made up for. The clock may have stepped again meanwhile. */
  forgetStep(byMs: number): void {
    if (this.#step) this.#step = this.#step.byMs === byMs ? undefined : { ...this.#step, byMs: this.#step.byMs - byMs }
  }

  #noteStep(byMs: number, atMs: number): void {
    this.#step = { byMs: (this.#step?.byMs ?? 0) + byMs, afterMs: this.#step?.afterMs ?? this.#observedAtMs }
    this.#steppedAtMs = atMs
    this.#lastMs = 0
  }
}
