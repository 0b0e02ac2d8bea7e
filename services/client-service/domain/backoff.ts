/** Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
export interface Backoff {
  readonly retryBaseMs: number
  readonly retryMaxMs: number
}

/** Where a callback stands that was not taken. */
export interface Failure {
  /** How often it was not, from 1. */
  readonly failures: number
  /** What the receiver asked for. */
  readonly retryAfterMs: number | undefined
}

/**
 * @param random from 0 up to 1
 * @returns milliseconds to wait: what the receiver asked for, and then 0 to base × 2^(failures-1); each bounded by `retryMaxMs`
 */
export function backoffMs({ retryBaseMs, retryMaxMs }: Backoff, { failures, retryAfterMs = 0 }: Failure, random: number): number {
  return Math.min(retryMaxMs, retryAfterMs) + random * Math.min(retryMaxMs, retryBaseMs * 2 ** (failures - 1))
}
