/** Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
export interface Backoff {
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

/** The failures of a callback that was not taken yet. */
export interface Failure {
  /** Number of failed sends so far, at least 1. */
  readonly failures: number
  /** The Retry-After of the receiver, if it sent one. */
  readonly retryAfterMs: number | undefined
}

/**
 * @param random at least 0 and below 1
 * @returns milliseconds to wait: the Retry-After plus 0 to base × 2^(failures-1), each at most `retryMaxMs`
 */
export function backoffMs({ retryBaseMs, retryMaxMs }: Backoff, { failures, retryAfterMs = 0 }: Failure, random: number): number {
  return Math.min(retryMaxMs, retryAfterMs) + random * Math.min(retryMaxMs, retryBaseMs * 2 ** (failures - 1))
}
