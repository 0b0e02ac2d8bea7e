import { type Backoff, backoffMs } from '#fetching/backoff.ts'
import type { ObjectId } from '#fetching/object-id.ts'
import type { Outcome } from '#fetching/outcome.ts'
import type { ClaimedCallback, Unstored, Verdict } from './claimed-callback.ts'

export interface ProcessingPolicy {
  /** Attempts after which a callback is `failed`. */
  readonly maxAttempts: number
  /** Crashes of its workers after which a callback is `failed`. In the last one it ran alone. */
  readonly maxCrashes: number
  readonly backoff: Backoff
  readonly random: () => number
}

/**
 * Processes one attempt of a callback: fetches all missing objects at once, and decides how the callback leaves its worker. It is completed
 * if each object has a final outcome. While some are pending, it goes back to the inbox. It fails when its attempts are used up.
 */
export async function processCallback(
  callback: ClaimedCallback,
  fetch: (id: ObjectId, callback: ClaimedCallback) => Promise<Outcome>,
  policy: ProcessingPolicy,
): Promise<Verdict> {
  if (callback.crashes >= policy.maxCrashes) return workerLost(callback)
  const outcomes = await Promise.all(callback.missingIds.map(id => fetch(id, callback)))
  const unstored = [...callback.unstored, ...callback.missingIds.flatMap((id, i) => unstoredOf(id, outcomes[i] as Outcome))]
  const pending = outcomes.filter(outcome => outcome.kind === 'pending')
  if (pending.length === 0) return { state: 'completed', unstored }
  const isCharged = pending.some(outcome => outcome.isCharged)
  const retryAfterMs = Math.max(...pending.map(outcome => outcome.retryAfterMs ?? 0))
  return tryAgain(callback, { unstored, isCharged, retryAfterMs }, policy)
}

/** The verdict on a callback whose processing threw: the next attempt fetches every missing object again. The attempt is charged. */
export function crashed(callback: ClaimedCallback, policy: ProcessingPolicy): Verdict {
  const unstored = [...callback.unstored, ...callback.missingIds.map(id => ({ id, outcome: 'pending', reason: 'internal_error' }) as const)]
  return tryAgain(callback, { unstored, isCharged: true, retryAfterMs: 0 }, policy)
}

/** The verdict on a callback that lost its worker each time and was alone in the last crash: see suspicion.ts. */
function workerLost(callback: ClaimedCallback): Verdict {
  return {
    state: 'failed',
    unstored: [...callback.unstored, ...callback.missingIds.map(id => ({ id, outcome: 'failed', reason: 'worker_lost' }) as const)],
  }
}

interface Trouble {
  readonly unstored: readonly Unstored[]
  readonly isCharged: boolean
  readonly retryAfterMs: number
}

function tryAgain(callback: ClaimedCallback, trouble: Trouble, policy: ProcessingPolicy): Verdict {
  const { unstored, isCharged } = trouble
  // While the breaker is open, the worker claims only one callback, to probe with. So that it finds one, these are due at once.
  const isDueNow = unstored.some(({ reason }) => reason === 'interrupted' || (reason === 'client_service_unavailable' && !isCharged))
  return goesBack(callback, { ...trouble, backoffMs: isDueNow ? 0 : waitOf(callback, isCharged, policy) }, policy)
}

/**
 * The verdict on a callback of which some objects are still pending: it goes back to the inbox, or fails if its attempts are used up.
 * @param trouble.backoffMs time until its next attempt, if `retryAfterMs` is not longer; by default the backoff of the attempt
 */
export function goesBack(
  callback: ClaimedCallback,
  trouble: Trouble & { readonly backoffMs?: number },
  policy: Pick<ProcessingPolicy, 'maxAttempts' | 'backoff' | 'random'>,
): Verdict {
  const { unstored, isCharged, retryAfterMs, backoffMs: wait = waitOf(callback, isCharged, policy) } = trouble
  if (isCharged && callback.attempt >= policy.maxAttempts) return { state: 'failed', unstored: unstored.map(giveUp) }
  return { state: 'pending', unstored, isCharged, delayMs: Math.max(retryAfterMs, wait) }
}

function waitOf(callback: ClaimedCallback, isCharged: boolean, policy: Pick<ProcessingPolicy, 'backoff' | 'random'>): number {
  return backoffMs(policy.backoff, isCharged ? callback.attempt : 1, policy.random())
}

function giveUp(object: Unstored): Unstored {
  return object.outcome === 'pending' ? { ...object, outcome: 'failed' } : object
}

function unstoredOf(id: ObjectId, outcome: Outcome): Unstored[] {
  switch (outcome.kind) {
    case 'stored':
      return []
    case 'offline':
    case 'not_found':
      return [{ id, outcome: outcome.kind }]
    case 'failed':
    case 'pending':
      return [{ id, outcome: outcome.kind, reason: outcome.reason }]
  }
}
