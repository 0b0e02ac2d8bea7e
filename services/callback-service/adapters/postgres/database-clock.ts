/** Two clocks may drift apart by this share of the time. */
const DRIFT = 0.001
/** An observation this far outside of what was expected is a step. Timers are not more exact. */
const TOLERANCE_MS = 2

/** Time that a statement may take to begin. */
const ROOM_MS = 100
const FAR_AHEAD_MS = 1e14

/** A sudden change of the database's clock, as it was noticed. */
export interface ClockStep {
  /** Above 0: the clock went forward. */
  readonly byMs: number
  /** The last moment at which the clock was still as before, by this process's monotonic clock. */
  readonly afterMs: number
}

/**
 * The database's clock, read between statements, in epoch milliseconds. It is known within the time that an answer takes: each answer that
 * says what time it is bounds the difference to this process's monotonic clock from both sides
 * (Cristian's algorithm, https://en.wikipedia.org/wiki/Cristian%27s_algorithm). An answer that fits no bound shows that the clock stepped.
 */
export class DatabaseClock {
  /** Monotonic time minus the database's time: at least, at most. */
  #least = Number.NEGATIVE_INFINITY
  #most = Number.POSITIVE_INFINITY
  #observedAtMs = 0
  #lastMs = 0
  #step: ClockStep | undefined
  #steppedAtMs = Number.NEGATIVE_INFINITY

  /**
   * Takes in what the database said the time was.
   * @param sentMs when the question left, by the monotonic clock
   * @param receivedMs when the answer came
   */
  observe(databaseMs: number, sentMs: number, receivedMs = performance.now()): void {
    // An answer that was on its way when a step was noticed may tell the time from before it.
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

  /** The time now: never ahead of the database, and never going back but in a step. Before the first observation this machine's clock must do. */
  nowMs(): number {
    if (!Number.isFinite(this.#most)) return Date.now()
    this.#lastMs = Math.max(this.#lastMs, this.at(performance.now()))
    return this.#lastMs
  }

  /** What the database's clock, as it is now, showed at a moment of the monotonic clock; never ahead of it. */
  at(monotonicMs: number): number {
    return Number.isFinite(this.#most) ? monotonicMs - this.#most : Date.now() - (performance.now() - monotonicMs)
  }

  /**
   * The latest that it can be now, with some room, unless the clock stepped since it was observed. Before the first observation, a moment
   * thousands of years ahead.
   */
  latestNowMs(): number {
    return Math.min(performance.now() - this.#least + ROOM_MS, FAR_AHEAD_MS)
  }

  /** When the last step was noticed, by the monotonic clock: what the database wrote before cannot be compared with what it writes now. */
  get steppedAtMs(): number {
    return this.#steppedAtMs
  }

  /** A step that was noticed and not made up for yet; several are one. */
  get step(): ClockStep | undefined {
    return this.#step
  }

  /** Says that the step was made up for. */
  forgetStep(): void {
    this.#step = undefined
  }

  #noteStep(byMs: number, atMs: number): void {
    this.#step = { byMs: (this.#step?.byMs ?? 0) + byMs, afterMs: this.#step?.afterMs ?? this.#observedAtMs }
    this.#steppedAtMs = atMs
    this.#lastMs = 0
  }
}
