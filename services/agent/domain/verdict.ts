import type { ObjectId } from '#fetching/object-id.ts'
import type { Outcome } from '#fetching/outcome.ts'
import type { Unstored, Verdict } from './lease.ts'

/**
 * Decides how a callback leaves the agent: completed if each object has a final outcome, otherwise it goes back.
 * @param outcomes those of `ids`, in the same order; what was fetched is delivered already
 */
export function verdictOf(ids: readonly ObjectId[], outcomes: readonly Outcome[]): Verdict {
  const unstored = ids.flatMap((id, i) => unstoredOf(id, outcomes[i] as Outcome))
  const pending = outcomes.filter(outcome => outcome.kind === 'pending')
  if (pending.length === 0) return { state: 'completed', unstored }
  return {
    state: 'pending',
    unstored,
    isCharged: pending.some(({ isCharged }) => isCharged),
    retryAfterMs: Math.max(...pending.map(({ retryAfterMs = 0 }) => retryAfterMs)),
  }
}

/** The verdict after an error of the agent itself: what is not delivered is fetched again. The attempt is charged, so that this ends. */
export function crashed(missing: readonly ObjectId[]): Verdict {
  const unstored = missing.map(id => ({ id, outcome: 'pending', reason: 'internal_error' }) as const)
  return { state: 'pending', unstored, isCharged: true, retryAfterMs: 0 }
}

function unstoredOf(id: ObjectId, outcome: Outcome): Unstored[] {
  switch (outcome.kind) {
    case 'stored':
    case 'offline':
      return []
    case 'not_found':
      return [{ id, outcome: 'not_found' }]
    case 'failed':
    case 'pending':
      return [{ id, outcome: outcome.kind, reason: outcome.reason }]
  }
}
