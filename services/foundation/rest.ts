import { setTimeout as sleep } from 'node:timers/promises'

/** A timer holds at most 2^31 - 1 ms; ending early once in 24 days is harmless. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Resolves after so many milliseconds, or at once when `signal` is aborted. Does not keep the process alive. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(Math.min(ms, MAX_TIMER_MS), undefined, { signal, ref: false })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
