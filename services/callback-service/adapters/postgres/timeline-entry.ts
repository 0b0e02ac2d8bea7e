import type { ClaimedCallback, Unstored, Verdict } from '../../domain/processing/claimed-callback.ts'

/** Kinds of results that an entry counts one by one. Statuses of the client service are many, and an entry must stay small. */
const MAX_KINDS = 10

/** What the timeline of a callback says of an attempt, without its time, worker and state. */
export function attemptEntry(callback: ClaimedCallback, verdict: Verdict): object {
  const isGivenBack = verdict.state === 'pending' && !verdict.isCharged && verdict.unstored.some(isGivenUp)
  return {
    event: isGivenBack ? 'given_back' : 'attempt_ended',
    // By the database's clock, as the end. The clock of this process may differ, and a token tells a time that never goes back.
    claimed_at: Math.floor(callback.receivedAtMs + callback.waitedMs),
    attempt: callback.attempt,
    counts: countsOf(callback, verdict),
  }
}

/** Whether an object is pending only because nobody works on it any more. */
function isGivenUp({ reason }: Unstored): boolean {
  return reason === 'interrupted' || reason === 'given_back'
}

/** @param token a UUIDv7 @returns when it was made: epoch milliseconds by the clock of its process */
export function timeOf(token: string): number {
  return Number.parseInt(token.slice(0, 8) + token.slice(9, 13), 16)
}

/** Counts the objects of this attempt by their result. Results beyond `MAX_KINDS` kinds count together as `other`. */
function countsOf({ missingIds, unstored: earlier }: ClaimedCallback, { unstored }: Verdict): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  const now = unstored.slice(earlier.length)
  const stored = missingIds.length - now.length
  if (stored > 0) counts['stored'] = stored
  let kinds = 0
  for (const { outcome, reason } of now) {
    const result = reason === undefined ? outcome : `${outcome}:${reason}`
    const kind = result in counts || kinds < MAX_KINDS ? result : 'other'
    if (kind === result && !(result in counts)) kinds += 1
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}
