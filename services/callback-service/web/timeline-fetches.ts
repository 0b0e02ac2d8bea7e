import type { FetchOfObject } from './activity-types.ts'

/** The line of one fetch. Times are epoch milliseconds. */
export interface FetchBar {
  readonly id: string
  readonly from: number
  /** When the request left whose answer counts; undefined if none has left. */
  readonly sentAt: number | undefined
  /** While it is under way: the time of the picture. */
  readonly to: number
  readonly isOpen: boolean
  readonly result: string
  readonly isFailed: boolean
  /** It is one of the slowest of its attempt. */
  readonly isSlow: boolean
  readonly isShared: boolean
}

const GOOD: ReadonlySet<string> = new Set(['stored', 'offline', 'not_found'])
/** Fetches of an attempt that stand out as the slowest, if they took at least twice as long as the middle one. */
const SLOWEST = 3

/** Draws the fetches of one attempt, in order of their start. */
export function fetchBars(fetches: readonly FetchOfObject[], now: number): FetchBar[] {
  const slowestMs = slowest(fetches)
  return fetches
    .map(fetch => {
      const from = Date.parse(fetch.started_at)
      const isOpen = fetch.duration_ms === null
      return {
        id: String(fetch.id),
        from,
        sentAt: fetch.waited_ms === null ? undefined : from + fetch.waited_ms,
        to: isOpen ? Math.max(from, now) : from + (fetch.duration_ms ?? 0),
        isOpen,
        result: fetch.result ?? 'under way',
        isFailed: fetch.result !== null && !GOOD.has(fetch.result),
        isSlow: fetch.duration_ms !== null && fetch.duration_ms >= slowestMs,
        isShared: fetch.shared,
      }
    })
    .sort((a, b) => a.from - b.from)
}

/** Chooses what to show of many: those that failed, the slowest, and then the first. In order of their start. */
export function mostTelling(bars: readonly FetchBar[], count: number): readonly FetchBar[] {
  if (bars.length <= count) return bars
  const rank = ({ isFailed, isSlow, isOpen }: FetchBar): number => (isFailed ? 0 : isSlow || isOpen ? 1 : 2)
  const chosen = new Set([...bars].sort((a, b) => rank(a) - rank(b)).slice(0, count))
  return bars.filter(bar => chosen.has(bar))
}

function slowest(fetches: readonly FetchOfObject[]): number {
  const durations = fetches.map(({ duration_ms }) => duration_ms ?? 0).sort((a, b) => b - a)
  const middle = durations[Math.floor(durations.length / 2)] ?? 0
  return fetches.length > SLOWEST ? Math.max(durations[SLOWEST - 1] ?? 0, 2 * middle) : Number.POSITIVE_INFINITY
}
