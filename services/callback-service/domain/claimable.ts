/** Callbacks claimed by one statement: enough to keep busy, few enough to leave some to other replicas. */
const CLAIM_BATCH = 32

/**
 * How many callbacks are worth claiming now: none while no request may leave, or while enough of them wait to; one to probe with; else as
 * many as there is room for, a batch at the most.
 */
export function claimable(now: {
  readonly running: number
  readonly maxRunning: number
  readonly requests: { readonly waiting: number; readonly concurrency: number }
  readonly breaker: { readonly state: 'closed' | 'open' | 'half-open'; readonly waitMs: number }
}): number {
  const { running, maxRunning, requests, breaker } = now
  if (breaker.waitMs > 0 || requests.waiting >= requests.concurrency) return 0
  return Math.max(0, Math.min(breaker.state === 'closed' ? CLAIM_BATCH : 1, maxRunning - running))
}
