/** What a limit says about one request. */
export interface RateVerdict {
  /** 0, or milliseconds until the next request is allowed. */
  readonly waitMs: number
  /** Requests that may still come at once. */
  readonly remaining: number
  /** Milliseconds until the whole burst is allowed again. */
  readonly fullInMs: number
}

/** Times are sums of fractions. A request is not late by less than a microsecond. */
const ROUNDING_MS = 0.001

/**
 * Limits requests to a rate with a burst. It is the generic cell rate algorithm (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm):
 * all that it remembers is one time. The limit comes with each request, so a changed one applies from the next request on.
 */
export class RequestRate {
  /** When the whole burst is allowed again, by the clock of `nowMs`. */
  #fullAtMs = Number.NEGATIVE_INFINITY

  /**
   * Counts a request if it is allowed.
   * @param nowMs of a monotonic clock
   * @param limit.perSecond above 0
   * @param limit.burst at least 1
   */
  take(nowMs: number, { perSecond, burst }: { readonly perSecond: number; readonly burst: number }): RateVerdict {
    const intervalMs = 1000 / perSecond
    const mostMs = burst * intervalMs
    const usedMs = Math.min(Math.max(this.#fullAtMs - nowMs, 0), mostMs)
    const waitMs = usedMs + intervalMs - mostMs
    const isAllowed = waitMs <= ROUNDING_MS
    const nextUsedMs = isAllowed ? usedMs + intervalMs : usedMs
    this.#fullAtMs = nowMs + nextUsedMs
    return {
      waitMs: isAllowed ? 0 : waitMs,
      remaining: Math.max(0, Math.floor((mostMs - nextUsedMs + ROUNDING_MS) / intervalMs)),
      fullInMs: nextUsedMs,
    }
  }
}
