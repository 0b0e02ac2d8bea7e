type Values = readonly (number | null)[]

/** A value of the past, and how many rows ago it was. */
export interface Known {
  readonly value: number
  readonly rowsAgo: number
}

/** Returns the newest value; undefined if there is none. */
export function newest(values: Values): Known | undefined {
  const index = values.findLastIndex(value => value !== null)
  return index < 0 ? undefined : { value: values[index] as number, rowsAgo: values.length - 1 - index }
}

/** Returns the mean of the values in the last rows; undefined if there is none. */
export function meanOf(values: Values, rows: number): number | undefined {
  const known = values.slice(-rows).filter(value => value !== null)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}

/** Returns the highest value in the last rows; if they have none, the newest one before them. */
export function highest(values: Values, rows: number): Known | undefined {
  const known = values.slice(-rows).filter(value => value !== null)
  return known.length === 0 ? newest(values) : { value: Math.max(...known), rowsAgo: 0 }
}

/** Returns for each row the mean of the last rows up to it. A gap stays a gap, and lasts until half of those rows have a value. */
export function trailingMean(values: Values, rows: number): (number | null)[] {
  let sum = 0
  let count = 0
  return values.map((value, row) => {
    const leaving = values[row - rows] ?? null
    if (leaving !== null) count--
    if (value !== null) count++
    sum = count === 0 ? 0 : sum + (value ?? 0) - (leaving ?? 0)
    // Additions leave a rest of 1e-16, which would show as a value. Adding 0 makes 0 of -0.
    return value === null || count * 2 < rows ? null : Math.round((sum / count) * 1e6) / 1e6 + 0
  })
}

/**
 * Lets a line go on over short stretches without a value, in which there was nothing to measure: their nulls become undefined, as uPlot wants it.
 * @param maxRows longest stretch that a line crosses
 * @param sampled a column that has a value in every row with a sample; rows without one stay gaps
 */
export function bridged(values: Values, sampled: Values, maxRows: number): (number | null | undefined)[] {
  const result: (number | null | undefined)[] = [...values]
  let start = 0
  for (let row = 0; row <= values.length; row++) {
    if (row < values.length && values[row] === null && sampled[row] !== null) continue
    const isInside = start > 0 && row < values.length && values[start - 1] !== null && values[row] !== null
    if (isInside && row - start <= maxRows) result.fill(undefined, start, row)
    start = row + 1
  }
  return result
}
