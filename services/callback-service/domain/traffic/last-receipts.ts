import { MIN_MINUTES, type Pace, paceUpTo, usualGapOf } from './silence.ts'
import { MINUTE_MS, type MinuteCount, startOfMinute, type TrafficMinutes, WINDOW_MS } from './traffic-minutes.ts'

/** The last receipt of a workspace that a search found. */
export interface FoundReceipt extends Pace {
  readonly workspace: string
  readonly lastMs: number
}

/**
 * When a workspace received its last callback.
 * `exact`: from the row. `hour`: the start of the hour, because the row is gone. `none`: nothing that the service remembers.
 * `unknown`: nobody has found it so far.
 */
export type LastReceipt =
  | { readonly precision: 'exact' | 'hour'; readonly atMs: number; readonly usualGapMs: number | null }
  | { readonly precision: 'none' | 'unknown'; readonly atMs: null; readonly usualGapMs: null }

interface Receipt {
  readonly atMs: number
  /** Undefined: not known yet. */
  readonly usualGapMs: number | null | undefined
}

const FIRST_SEARCH_MS = 2 * WINDOW_MS
/** Each step of the search goes back further than the one before, so that few steps reach the oldest row. */
const GROWTH = 4

/**
 * Knows when each workspace received its last callback. The minutes in memory say it for those that are busy. For the others, a search goes back in
 * time, one step at a time, once for each workspace.
 */
export class LastReceipts {
  readonly #receipts = new Map<string, Receipt>()
  #hours: ReadonlyMap<string, number> | undefined
  /** Workspaces for which a search has come to its end. */
  readonly #searched = new Set<string>()
  #search: { readonly workspaces: readonly string[]; readonly toMs: number; readonly stepMs: number } | undefined

  /** Takes in the minutes just read. @param minutes have them already */
  sighted(counts: readonly MinuteCount[], minutes: TrafficMinutes): void {
    for (const [workspace, here] of Map.groupBy(counts, ({ workspace }) => workspace)) {
      const atMs = Math.max(...here.map(({ lastMs }) => lastMs ?? Number.NEGATIVE_INFINITY))
      const known = this.#receipts.get(workspace)
      if (!Number.isFinite(atMs) || (known && known.atMs > atMs)) continue
      const last = (startOfMinute(atMs) - minutes.fromMs) / MINUTE_MS
      const pace = paceUpTo(minutes.seriesOf(workspace).received, last)
      const usualGapMs = pace.minutes >= MIN_MINUTES ? usualGapOf(pace) : known?.atMs === atMs ? known.usualGapMs : undefined
      this.#receipts.set(workspace, { atMs, usualGapMs })
      // It came late, out of a spool: the minutes before it are not in memory.
      if (known?.atMs !== atMs && last + 1 < MIN_MINUTES) this.#searched.delete(workspace)
    }
  }

  /** Whether the hours of rows that are gone are known. */
  get hasHours(): boolean {
    return this.#hours !== undefined
  }

  /** @param hours the last hour of each workspace that has rows which are gone */
  tookHours(hours: ReadonlyMap<string, number>): void {
    this.#hours = hours
  }

  /**
   * Returns the next step of the search; undefined if there is nothing to find any more.
   * @param workspaces names of all
   * @param oldestMs nothing is searched for before this time, except in the last step, which has no beginning
   */
  nextSearch(
    workspaces: readonly string[],
    nowMs: number,
    oldestMs: number,
  ): { readonly workspaces: string[]; readonly fromMs: number; readonly toMs: number } | undefined {
    const isMissing = (name: string): boolean => this.#receipts.get(name)?.usualGapMs === undefined
    if (!this.#search?.workspaces.some(isMissing)) {
      for (const name of this.#search?.workspaces ?? []) this.#searched.add(name)
      const missing = workspaces.filter(name => isMissing(name) && !this.#searched.has(name))
      this.#search = missing.length > 0 ? { workspaces: missing, toMs: nowMs, stepMs: FIRST_SEARCH_MS } : undefined
    }
    if (!this.#search) return undefined
    const { toMs, stepMs } = this.#search
    const fromMs = toMs - stepMs
    return { workspaces: this.#search.workspaces.filter(isMissing), fromMs: fromMs < oldestMs ? 0 : fromMs, toMs }
  }

  /** Takes in what a step of the search found. @param fromMs the beginning of the step */
  found(fromMs: number, receipts: readonly FoundReceipt[]): void {
    for (const { workspace, lastMs, ...pace } of receipts) {
      const known = this.#receipts.get(workspace)
      if (!known || known.atMs <= lastMs) this.#receipts.set(workspace, { atMs: lastMs, usualGapMs: usualGapOf(pace) })
    }
    const { workspaces, stepMs } = this.#search ?? { workspaces: [], stepMs: FIRST_SEARCH_MS }
    if (fromMs === 0) for (const name of workspaces) this.#searched.add(name)
    this.#search = fromMs === 0 ? undefined : { workspaces, toMs: fromMs, stepMs: stepMs * GROWTH }
  }

  of(workspace: string): LastReceipt {
    const receipt = this.#receipts.get(workspace)
    const hourMs = this.#hours?.get(workspace)
    if (receipt && (hourMs === undefined || hourMs <= receipt.atMs))
      return { precision: 'exact', atMs: receipt.atMs, usualGapMs: receipt.usualGapMs ?? null }
    // A row that is not found yet may be later than the hour.
    const isCertain = this.#searched.has(workspace) || receipt !== undefined
    if (hourMs !== undefined && isCertain) return { precision: 'hour', atMs: hourMs, usualGapMs: null }
    return { precision: isCertain && this.hasHours ? 'none' : 'unknown', atMs: null, usualGapMs: null }
  }
}
