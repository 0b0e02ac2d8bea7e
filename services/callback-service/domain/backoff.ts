/** Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
export interface Backoff {
  readonly baseMs: number
  readonly maxMs: number
}

/**
 * @param failures how many tries have failed so far, from 1
 * @param random from 0 up to 1
 * @returns milliseconds to wait: anything from 0 to base × 2^(failures-1), that bounded by `maxMs`
 */
export function backoffMs({ baseMs, maxMs }: Backoff, failures: number, random: number): number {
  return random * Math.min(maxMs, baseMs * 2 ** (failures - 1))
}
