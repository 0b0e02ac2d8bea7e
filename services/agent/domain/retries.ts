import { type Backoff, backoffMs } from '#fetching/backoff.ts'
import type { AnswerbackUnavailableError } from './answerback-errors.ts'

/** Longest Retry-After of the callback service that the agent honours. */
const MAX_RETRY_AFTER_MS = 60_000

/**
 * How long to wait before the next try of a request to the callback service. It adds jitter to a Retry-After too, because a thousand agents may
 * have got the same one.
 * @param failures number of tries that have failed so far, at least 1
 * @param random at least 0 and below 1
 */
export function waitMs(backoff: Backoff, failures: number, { retryAfterMs }: AnswerbackUnavailableError, random: number): number {
  return Math.min(MAX_RETRY_AFTER_MS, retryAfterMs) + backoffMs(backoff, failures, random)
}
