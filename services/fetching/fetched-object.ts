import type { ObjectId } from './object-id.ts'

/** What the client service said about an object. The adapter uses the identity of this value to find the request that brought it. */
export interface ObjectAnswer {
  readonly online: boolean
}

/** What the client service said about an object, and when the request left. Both times are in milliseconds. */
export interface FetchedObject {
  readonly id: ObjectId
  readonly online: boolean
  /** When the request left, by this process's monotonic clock. */
  readonly leftAtMs: number
  /**
   * When the request left: epoch milliseconds by the database's clock as this process knew it, never ahead of it.
   * Later requests have later times, unless the clock stepped.
   */
  readonly fetchedAtMs: number
}

/**
 * A fetch that brought no object. The error says whether another try can help, and whether the host itself is in trouble.
 * `reason` is short and stable (`timeout`, `http_503`, `invalid_answer`, ...). It is stored with the callback and shown to users.
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
