export const MINUTE_MS = 60_000
/** Minutes that are kept, the one that is not over yet included. */
export const WINDOW_MINUTES = 15
export const WINDOW_MS = WINDOW_MINUTES * MINUTE_MS

/**
 * Time for which a minute that is over is read again. A callback is visible when its transaction commits, which may be some seconds after its
 * receipt. What comes later still is found when the whole window is read again.
 */
const LATE_MS = 10_000

/** What one workspace did in one minute. Times are epoch milliseconds of the database. */
export interface MinuteCount {
  readonly workspace: string
  /** The start of the minute. */
  readonly atMs: number
  /** Callbacks received in it. */
  readonly received: number
  /** Callbacks that failed in it for good. */
  readonly failed: number
  /** The last receipt in it; null if it has none. */
  readonly lastMs: number | null
}

/** Whole minutes: `toMs` is the end of the last one. */
export interface MinuteSpan {
  readonly fromMs: number
  readonly toMs: number
}

/** The numbers of each minute of a workspace, the newest last; null for a minute that was not read. */
export interface TrafficSeries {
  readonly received: readonly (number | null)[]
  readonly failed: readonly (number | null)[]
}

interface Minute {
  /** The database's time when it was read. */
  readonly readAtMs: number
  readonly counts: ReadonlyMap<string, MinuteCount>
}

/**
 * The last 15 minutes of all workspaces, in memory. It says which minutes to read: a minute that is over is read once, and again with the whole window
 * from time to time, because callbacks can come late: out of a spool, or from a commit that waited for a standby.
 */
export class TrafficMinutes {
  readonly #minutes = new Map<number, Minute>()
  /** Made once for all who look at what was read. */
  readonly #series = new Map<string, TrafficSeries>()
  #newestMs = 0

  /** The start of the newest minute that was read; 0 if there is none. */
  get newestMs(): number {
    return this.#newestMs
  }

  get fromMs(): number {
    return this.#newestMs - WINDOW_MS + MINUTE_MS
  }

  /** The start of the minutes that were read without a gap until now. */
  get completeFromMs(): number {
    let fromMs = this.#newestMs + MINUTE_MS
    while (fromMs > this.fromMs && this.#minutes.has(fromMs - MINUTE_MS)) fromMs -= MINUTE_MS
    return fromMs
  }

  /**
   * Returns what to read now: first the minutes that go on, then those that were never read or not for long.
   * @param options.maxMinutes maximum length of each span
   * @param options.rereadMs age from which a minute is read again
   */
  spans(nowMs: number, { maxMinutes, rereadMs }: { readonly maxMinutes: number; readonly rereadMs: number }): MinuteSpan[] {
    const currentMs = startOfMinute(nowMs)
    const oldestMs = currentMs - WINDOW_MS + MINUTE_MS
    const run = (toMs: number, isWanted: (atMs: number) => boolean): MinuteSpan => {
      let fromMs = toMs
      while (fromMs > oldestMs && toMs - fromMs < maxMinutes * MINUTE_MS && isWanted(fromMs - MINUTE_MS)) fromMs -= MINUTE_MS
      return { fromMs, toMs }
    }
    const isUnsettled = (atMs: number): boolean => {
      const minute = this.#minutes.get(atMs)
      return !minute || minute.readAtMs < atMs + MINUTE_MS + LATE_MS
    }
    const isDue = (atMs: number): boolean => isUnsettled(atMs) || (this.#minutes.get(atMs) as Minute).readAtMs <= nowMs - rereadMs
    const newest = run(currentMs + MINUTE_MS, isUnsettled)
    let toMs = newest.fromMs
    while (toMs > oldestMs && !isDue(toMs - MINUTE_MS)) toMs -= MINUTE_MS
    const older = run(toMs, isDue)
    return older.fromMs < older.toMs ? [newest, older] : [newest]
  }

  /** Replaces the minutes of a span by what was read at `nowMs`. */
  take({ fromMs, toMs }: MinuteSpan, nowMs: number, counts: readonly MinuteCount[]): void {
    this.#series.clear()
    const byMinute = Map.groupBy(counts, ({ atMs }) => atMs)
    for (let atMs = fromMs; atMs < toMs; atMs += MINUTE_MS) {
      const here = byMinute.get(atMs) ?? []
      this.#minutes.set(atMs, { readAtMs: nowMs, counts: new Map(here.map(count => [count.workspace, count])) })
    }
    this.#newestMs = Math.max(this.#newestMs, toMs - MINUTE_MS)
    for (const atMs of this.#minutes.keys()) if (atMs < this.fromMs) this.#minutes.delete(atMs)
  }

  seriesOf(workspace: string): TrafficSeries {
    const known = this.#series.get(workspace)
    if (known) return known
    const received: (number | null)[] = []
    const failed: (number | null)[] = []
    for (let atMs = this.fromMs; atMs <= this.#newestMs; atMs += MINUTE_MS) {
      const minute = this.#minutes.get(atMs)
      const count = minute?.counts.get(workspace)
      received.push(minute ? (count?.received ?? 0) : null)
      failed.push(minute ? (count?.failed ?? 0) : null)
    }
    const series = { received, failed }
    this.#series.set(workspace, series)
    return series
  }
}

export function startOfMinute(ms: number): number {
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS
}
