/** How slow the service is: an answer takes from `minMs` to `maxMs`. */
export interface Latency {
  readonly minMs: number
  readonly maxMs: number
}

/** @param random from 0 up to 1 */
export function latencyMs({ minMs, maxMs }: Latency, random: number): number {
  return minMs + random * (maxMs - minMs)
}
