/** How long an answer takes: from `minMs` to `maxMs`. */
export interface Latency {
  readonly minMs: number
  readonly maxMs: number
}

/** @param random at least 0 and below 1 @returns milliseconds that an answer takes */
export function latencyMs({ minMs, maxMs }: Latency, random: number): number {
  return minMs + random * (maxMs - minMs)
}
