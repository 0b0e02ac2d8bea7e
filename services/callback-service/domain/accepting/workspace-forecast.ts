import type { CallbackEvent } from '../callback-event.ts'
import { FinishRate } from './finish-rate.ts'
import { RecentMedian } from './recent-median.ts'
import { TypicalWork } from './typical-work.ts'

/** What one look at the database says about the callbacks of a workspace, those of all replicas. */
export interface CallbackCounts {
  /** Pending or running. */
  readonly unfinished: number
  /** Pending, due, and not behind a new callback by their priority. */
  readonly due: number
  readonly running: number
  readonly paused: number
  /** Finished within the window that was asked for, without cancelled ones. */
  readonly finished: number
}

/** What the sender of a new callback can expect. */
export interface Forecast {
  /** Callbacks before it in its workspace: those that are neither finished nor paused. */
  readonly backlog: number
  /** Time until it is probably finished; null if nobody knows. */
  readonly etaMs: number | null
}

/** A backlog stands if the callbacks that are due take longer than this. Fewer are only those that came just now. */
const STANDING_MS = 250
const STANDING_CALLBACKS = 3
/** Callbacks that may have come since a look at an empty queue. If there are more, a burst has begun and nobody knows how fast it goes. */
const BURST_CALLBACKS = 50
const BURST_MS = 1000
/** A look is too old after this many intervals between looks. */
const MAX_INTERVALS = 3
const MIN_STALE_MS = 10_000

/** The counts of a workspace without callbacks. */
export const NO_CALLBACKS: CallbackCounts = { unfinished: 0, due: 0, running: 0, paused: 0, finished: 0 }

/**
 * Forecasts when a new callback of one workspace will be finished: the time until a worker claims it, and the time that a worker needs.
 *
 * While a backlog stands, the first part is the number of callbacks due before it, divided by the rate at which callbacks finish. Otherwise it
 * is what recent callbacks waited. The second part is what callbacks with as many objects took. Between two looks at the database, the numbers
 * follow what this process does itself, and the trend of what the others do.
 */
export class WorkspaceForecast {
  readonly #rate = new FinishRate()
  readonly #work = new TypicalWork()
  readonly #waits = new RecentMedian()
  readonly #sizes = new RecentMedian()
  #counts = NO_CALLBACKS
  #countedAtMs: number | undefined
  #intervalMs = 0
  /** Number of looks in a row at which a backlog stood. */
  #standing = 0
  /** What this process did since the look. */
  #accepted = 0
  #claimed = 0
  #ended = 0
  /** What the other replicas add to the unfinished and to the due callbacks in a millisecond. */
  #trend = { unfinished: 0, due: 0 }

  count(counts: CallbackCounts, windowMs: number, nowMs: number): void {
    if (this.#countedAtMs !== undefined && nowMs > this.#countedAtMs) {
      this.#intervalMs = nowMs - this.#countedAtMs
      const ofOthers = (before: number, own: number, now: number): number => (now - before - own) / this.#intervalMs
      // Half of the last trend: a single look differs by what was under way at its moment.
      this.#trend = {
        unfinished: (this.#trend.unfinished + ofOthers(this.#counts.unfinished, this.#accepted - this.#ended, counts.unfinished)) / 2,
        due: (this.#trend.due + ofOthers(this.#counts.due, this.#accepted - this.#claimed, counts.due)) / 2,
      }
    }
    this.#standing = counts.due > Math.max(STANDING_CALLBACKS, (counts.finished / windowMs) * STANDING_MS) ? this.#standing + 1 : 0
    // Before a backlog stood, callbacks finished only as fast as they came. The window in which it arose is no more than a first guess.
    if (this.#standing === 1 || this.#standing === 2) this.#rate.clear()
    this.#rate.add(counts.finished, windowMs)
    this.#counts = counts
    this.#countedAtMs = nowMs
    this.#accepted = 0
    this.#claimed = 0
    this.#ended = 0
  }

  accepted(): void {
    this.#accepted += 1
  }

  onEvent(happened: Extract<CallbackEvent, { readonly event: 'claimed' | 'settled' }>): void {
    if (happened.event === 'claimed') {
      if (happened.attempt !== 1) return
      this.#claimed += 1
      this.#waits.add(happened.waitedMs)
    } else if (happened.state !== 'pending') {
      this.#ended += 1
      if (happened.state === 'completed' || happened.state === 'failed') this.#learnWork(happened)
    }
  }

  /** Whether the last look, and what this process did since, leave callbacks that are not finished. */
  get hasUnfinished(): boolean {
    return this.#counts.unfinished + this.#accepted - this.#ended > 0
  }

  /** The usual number of objects in a callback. */
  get usualObjects(): number {
    return this.#sizes.value ?? 1
  }

  /** @returns undefined if the last look at the database is too old, or there was none */
  forecast(objects: number, nowMs: number): Forecast | undefined {
    if (this.#countedAtMs === undefined) return undefined
    const ageMs = nowMs - this.#countedAtMs
    if (ageMs > Math.max(MIN_STALE_MS, MAX_INTERVALS * this.#intervalMs)) return undefined
    const backlog = this.#counts.unfinished + this.#accepted - this.#ended + this.#trend.unfinished * ageMs
    const due = this.#counts.due + this.#accepted - this.#claimed + this.#trend.due * ageMs
    const workMs = this.#workMs(objects)
    const waitMs = workMs === undefined ? undefined : this.#waitMs(Math.max(0, due), workMs)
    return {
      backlog: Math.max(0, Math.round(backlog)),
      etaMs: waitMs === undefined || workMs === undefined ? null : Math.round(waitMs + workMs),
    }
  }

  /** @param due callbacks that are to be claimed first */
  #waitMs(due: number, workMs: number): number | undefined {
    const perMs = this.#rate.perSecond / 1000
    if (this.#standing === 1 && perMs > 0) return due / Math.max(perMs, this.#counts.running / Math.max(1, workMs))
    if (this.#standing > 0) return perMs === 0 ? undefined : due / perMs
    if (due > Math.max(BURST_CALLBACKS, perMs * BURST_MS)) return undefined
    // What recent callbacks waited may be old. While no backlog stands, the wait is not longer than this.
    const mostMs = perMs === 0 ? STANDING_MS : Math.max(STANDING_MS, STANDING_CALLBACKS / perMs)
    return Math.min(mostMs, this.#waits.value ?? 0)
  }

  /** If only other replicas work, the time follows from how many callbacks run and finish: https://en.wikipedia.org/wiki/Little%27s_law */
  #workMs(objects: number): number | undefined {
    const perMs = this.#rate.perSecond / 1000
    return this.#work.ms(objects) ?? (perMs === 0 ? undefined : this.#counts.running / perMs)
  }

  #learnWork({ attempt, objects, waitedMs, workedMs }: Extract<CallbackEvent, { readonly event: 'settled' }>): void {
    // Later attempts have waited for the first one too.
    const ms = attempt === 1 ? workedMs : Math.max(workedMs, waitedMs + workedMs - (this.#waits.value ?? 0))
    this.#work.add(objects, ms)
    this.#sizes.add(objects)
  }
}
