import { MINUTE_MS, WINDOW_MINUTES } from './traffic-minutes.ts'

/** How a workspace received callbacks in the minutes up to its last one, the minute of the last one included. */
export interface Pace {
  /** Minutes that are known, 1 to 15. */
  readonly minutes: number
  /** Those of them with callbacks. */
  readonly busyMinutes: number
  readonly received: number
}

/** With fewer minutes, nobody can say what is usual. */
export const MIN_MINUTES = 10
const MIN_SILENCE_MS = 2 * MINUTE_MS
const GAPS = 3

/**
 * Returns the usual time between two callbacks, in milliseconds.
 * @returns null if the workspace received callbacks in half of the minutes or fewer: a pause of such a workspace says nothing
 */
export function usualGapOf({ minutes, busyMinutes, received }: Pace): number | null {
  return minutes >= MIN_MINUTES && busyMinutes > minutes / 2 ? (minutes * MINUTE_MS) / received : null
}

/**
 * Returns the pace up to the last receipt.
 * @param received callbacks of each minute, the newest last; null for a minute that is not known
 * @param last index of the minute with the last receipt
 */
export function paceUpTo(received: readonly (number | null)[], last: number): Pace {
  const known = received.slice(Math.max(0, last + 1 - WINDOW_MINUTES), last + 1)
  const from = known.lastIndexOf(null) + 1
  const counts = known.slice(from) as number[]
  return {
    minutes: counts.length,
    busyMinutes: counts.filter(count => count > 0).length,
    received: counts.reduce((sum, count) => sum + count, 0),
  }
}

/** Whether a workspace is silent: nothing came for three times its usual gap, and for two minutes at least. */
export function isSilent(quietMs: number, usualGapMs: number | null): boolean {
  return usualGapMs !== null && quietMs >= Math.max(MIN_SILENCE_MS, GAPS * usualGapMs)
}
