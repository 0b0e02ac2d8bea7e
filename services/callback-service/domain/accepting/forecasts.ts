import type { CallbackEvent } from '../callback-event.ts'
import { type CallbackCounts, type Forecast, NO_CALLBACKS, WorkspaceForecast } from './workspace-forecast.ts'

const MIN_WINDOW_MS = 2000
const MAX_WINDOW_MS = 10_000

export interface ForecastsOptions {
  /** Whether no callback of the workspace can be processed now: it is paused, its client service is down, or there is no worker. */
  readonly isHeldUp: (workspace: string) => boolean
  /** A monotonic clock. */
  readonly nowMs: () => number
}

/** Forecasts for new callbacks, by workspace. A forecast costs no look at the database, and about a microsecond. */
export class Forecasts {
  readonly #options: ForecastsOptions
  readonly #each = new Map<string, WorkspaceForecast>()
  #countedAtMs: number | undefined
  #windowMs = 0
  /** The workspace of the last callback that began or ended here. */
  #lastWorkspace: string | undefined

  constructor(options: ForecastsOptions) {
    this.#options = options
  }

  /** The window in which the next look counts finished callbacks: the time since the last look, within bounds. */
  get windowMs(): number {
    const sinceMs = this.#countedAtMs === undefined ? 0 : this.#options.nowMs() - this.#countedAtMs
    return Math.round(Math.min(MAX_WINDOW_MS, Math.max(MIN_WINDOW_MS, sinceMs)))
  }

  /** @param counts by workspace, without those that have no callbacks @param windowMs the window that the look had */
  count(counts: ReadonlyMap<string, CallbackCounts>, windowMs: number): void {
    const now = this.#options.nowMs()
    this.#countedAtMs = now
    this.#windowMs = windowMs
    for (const workspace of counts.keys()) this.#of(workspace)
    for (const [workspace, forecast] of this.#each) forecast.count(counts.get(workspace) ?? NO_CALLBACKS, windowMs, now)
  }

  accepted(workspace: string): void {
    this.#of(workspace).accepted()
  }

  onEvent(happened: CallbackEvent): void {
    if (happened.event !== 'claimed' && happened.event !== 'settled') return
    this.#lastWorkspace = happened.workspace
    this.#of(happened.workspace).onEvent(happened)
  }

  /** @returns what a new callback can expect; undefined if nobody knows how many are before it */
  forecast(workspace: string, objects: number): Forecast | undefined {
    const forecast = this.#of(workspace).forecast(objects, this.#options.nowMs())
    return forecast && this.#options.isHeldUp(workspace) ? { ...forecast, etaMs: null } : forecast
  }

  /**
   * Time until a callback of the usual size that comes now is probably finished, in the workspace with unfinished callbacks where that takes
   * longest. Workspaces where nobody knows do not count. If no callback is unfinished, the workspace that worked last counts.
   * null: nobody knows.
   */
  get longestEtaMs(): number | null {
    let longest: number | null = null
    for (const [workspace, forecast] of this.#each) {
      if (workspace !== this.#lastWorkspace && !forecast.hasUnfinished) continue
      const etaMs = this.forecast(workspace, forecast.usualObjects)?.etaMs ?? null
      if (etaMs !== null && (longest === null || etaMs > longest)) longest = etaMs
    }
    return longest
  }

  #of(workspace: string): WorkspaceForecast {
    let known = this.#each.get(workspace)
    if (!known) {
      known = new WorkspaceForecast()
      // The last look would have named it if it had callbacks.
      if (this.#countedAtMs !== undefined) known.count(NO_CALLBACKS, this.#windowMs, this.#countedAtMs)
      this.#each.set(workspace, known)
    }
    return known
  }
}
