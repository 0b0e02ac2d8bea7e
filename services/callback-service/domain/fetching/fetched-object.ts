import type { ObjectId } from '../object-id.ts'

/** What the client service said of an object. Whoever asked knows by this very value which request brought it. */
export interface ObjectAnswer {
  readonly online: boolean
}

/** What the client service said of an object, and when the question left. Milliseconds. */
export interface FetchedObject {
  readonly id: ObjectId
  readonly online: boolean
  /** By this process's monotonic clock. */
  readonly leftAtMs: number
  /** By the database's clock as it was known then: since the epoch, never ahead of it, in the order of departures unless it stepped. */
  readonly fetchedAtMs: number
}

/**
 * A fetch that brought no object. It carries its verdict: whether asking again can help, and whether the host itself is in trouble.
 * `reason` is stable and short (`timeout`, `http_503`, `invalid_answer`, ...): it is stored with the callback and shown to users.
 */
export class FetchError extends Error {
  readonly code = 'FETCH_FAILED'
  readonly reason: string
  readonly isRetryable: boolean
  readonly isHostTrouble: boolean
  readonly retryAfterMs: number | undefined

  constructor(
    reason: string,
    verdict: { isRetryable: boolean; isHostTrouble: boolean; retryAfterMs?: number | undefined },
    options?: ErrorOptions,
  ) {
    super(`fetch failed: ${reason}`, options)
    this.reason = reason
    this.isRetryable = verdict.isRetryable
    this.isHostTrouble = verdict.isHostTrouble
    this.retryAfterMs = verdict.retryAfterMs
  }
}
