/** @param sorted ascending, not empty @param share 0.99 for p99; 1 for the maximum */
export function percentile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  if (value === undefined) throw new Error('a percentile of nothing')
  return value
}

export function ascending(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b)
}
