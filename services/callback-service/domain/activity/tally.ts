import type { CallbackEvent } from '../callback-event.ts'
import type { COUNTED, Sample } from './sample.ts'

/** Measured times, in microseconds. It fits `perf_hooks.createHistogram`. */
export interface Times {
  /** @param us an integer of 1 or more */
  record(us: number): void
  percentile(percent: number): number
  readonly count: number
  readonly max: number
  reset(): void
}

type Counts = Record<(typeof COUNTED)[number], number>

/** What a tally counted since the last time. */
export interface Tallied extends Readonly<Counts> {
  readonly times: Pick<Sample, 'accept_p50_ms' | 'accept_p99_ms' | 'lateness_p99_ms' | 'lateness_max_ms'>
  /** Sum of the durations of the fetches. */
  readonly fetchSeconds: number
  /** Leases of agents that ended without them. */
  readonly lapsed: number
}

const ZERO: Readonly<Counts> = { accepted: 0, completed: 0, failed: 0, spooled: 0, fetches_done: 0, fetches_failed: 0 }
/** An hour. A longer time counts as one. */
const MAX_US = 3_600_000_000

/** Counts what this process does until somebody takes the result. Counting one thing takes about 60 ns, and nothing grows. */
export class Tally {
  readonly #accepts: Times
  readonly #latenesses: Times
  #counts: Counts = { ...ZERO }
  #fetchSeconds = 0
  #lapsed = 0

  /** @param newTimes makes the two histograms */
  constructor(newTimes: () => Times) {
    this.#accepts = newTimes()
    this.#latenesses = newTimes()
  }

  onEvent(happened: CallbackEvent): void {
    switch (happened.event) {
      case 'answered':
        if (happened.outcome === 'accepted') this.#counts.accepted += 1
        if (happened.tookMs !== undefined) record(this.#accepts, happened.tookMs)
        break
      case 'settled':
        if (happened.state === 'completed') this.#counts.completed += 1
        else if (happened.state === 'failed') this.#counts.failed += 1
        break
      case 'spooled':
        this.#counts.spooled += happened.count
        break
      case 'lapsed':
        this.#lapsed += 1
        break
    }
  }

  /** Counts a request to a client service. */
  fetched(isAnswered: boolean, seconds: number): void {
    if (isAnswered) this.#counts.fetches_done += 1
    else this.#counts.fetches_failed += 1
    this.#fetchSeconds += seconds
  }

  /** Counts objects that were deleted because they had expired. */
  expired(latenessMs: readonly number[]): void {
    for (const ms of latenessMs) record(this.#latenesses, ms)
  }

  /** Returns what happened since the last call, and resets the counts. */
  take(): Tallied {
    const taken = {
      ...this.#counts,
      fetchSeconds: this.#fetchSeconds,
      lapsed: this.#lapsed,
      times: {
        accept_p50_ms: percentile(this.#accepts, 50),
        accept_p99_ms: percentile(this.#accepts, 99),
        lateness_p99_ms: percentile(this.#latenesses, 99),
        lateness_max_ms: this.#latenesses.count > 0 ? this.#latenesses.max / 1000 : null,
      },
    }
    this.#counts = { ...ZERO }
    this.#fetchSeconds = 0
    this.#lapsed = 0
    this.#accepts.reset()
    this.#latenesses.reset()
    return taken
  }
}

function record(times: Times, ms: number): void {
  times.record(Math.min(MAX_US, Math.max(1, Math.round(ms * 1000))))
}

/** Buckets are ranges, so a percentile may lie above the greatest value. */
function percentile(times: Times, percent: number): number | null {
  return times.count > 0 ? Math.min(times.percentile(percent), times.max) / 1000 : null
}
