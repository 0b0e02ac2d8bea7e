/** Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

/**
 * @param failures number of tries that have failed so far, at least 1
 * @param random at least 0 and below 1
 * @returns milliseconds to wait: from 0 to base × 2^(failures-1), at most `maxMs`
 */
export function backoffMs({ baseMs, maxMs }: Backoff, failures: number, random: number): number {
  return random * Math.min(maxMs, baseMs * 2 ** (failures - 1))
}
