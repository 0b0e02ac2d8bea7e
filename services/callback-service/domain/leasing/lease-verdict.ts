import type { ObjectId } from '#fetching/object-id.ts'
import type { Unstored, Verdict } from '../processing/claimed-callback.ts'
import { goesBack, type ProcessingPolicy } from '../processing/process-callback.ts'
import type { HeldLease } from './held-lease.ts'
import { NotWantedError, ObjectsMissingError } from './lease-errors.ts'

/** An object that the agent could not deliver, and why. */
export interface NamedObject {
  readonly id: ObjectId
  readonly outcome: 'not_found' | 'failed' | 'pending'
  readonly reason?: string
}

/** How an agent ends its lease. */
export type LeaseEnding =
  | { readonly kind: 'give_back'; readonly unstored: readonly NamedObject[]; readonly isCharged: boolean; readonly retryAfterMs: number }
  | { readonly kind: 'complete'; readonly unstored: readonly NamedObject[] }
  | { readonly kind: 'fail'; readonly unstored: readonly NamedObject[]; readonly reason: string }

/** What an agent does with its lease. */
export type LeaseChange = { readonly kind: 'extend'; readonly seconds: number } | LeaseEnding

/**
 * Decides how a callback leaves its agent. What was delivered counts, also if the agent names it. An attempt counts only if the agent says so.
 * @throws {NotWantedError} it names an object for which the lease has not asked
 * @throws {ObjectsMissingError} it wants to finish, but some objects have no outcome
 */
export function leaseVerdict(
  held: HeldLease,
  ending: LeaseEnding,
  policy: Pick<ProcessingPolicy, 'maxAttempts' | 'backoff' | 'random'>,
): Verdict {
  const { callback, lease, delivered, offline } = held
  const named = new Map(ending.unstored.filter(({ id }) => !delivered.has(id)).map(object => [object.id, object]))
  const wanted = new Set(lease.objectIds)
  const strangers = [...named.keys()].filter(id => !wanted.has(id))
  if (strangers.length > 0) throw new NotWantedError(strangers)
  const missing = lease.objectIds.filter(id => !named.has(id))
  if (ending.kind === 'complete' && missing.length > 0) throw new ObjectsMissingError(missing)

  const rest: Pick<Unstored, 'outcome' | 'reason'> =
    ending.kind === 'fail' ? { outcome: 'failed', reason: ending.reason } : { outcome: 'pending', reason: 'given_back' }
  const unstored = [
    ...callback.unstored,
    ...offline.map(id => ({ id, outcome: 'offline' }) as const),
    ...lease.objectIds.map(id => named.get(id) ?? { id, ...rest }),
  ]
  if (ending.kind === 'fail') return { state: 'failed', unstored }
  if (ending.kind === 'complete' || !unstored.some(({ outcome }) => outcome === 'pending')) return { state: 'completed', unstored }
  const { isCharged, retryAfterMs } = ending
  // A lease that is not charged and has brought nothing also waits for its number: see lease-ending.ts.
  return goesBack(callback, { unstored, isCharged, retryAfterMs, ...(!isCharged && { backoffMs: 0 }) }, policy)
}
