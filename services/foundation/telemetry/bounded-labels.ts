/** The label of all values that came after the first ones. */
export const OTHER = 'other'

/**
 * Bounds the number of values of a label, because Prometheus keeps a series for each. The first `max` different values are their own label, and
 * all later ones share `other`.
 * @param always values that are their own label whenever they come; they do not count
 */
export function boundedLabels(max: number, always: readonly string[]): (value: string) => string {
  const own = new Set(always)
  const size = own.size + max
  return value => {
    if (own.has(value)) return value
    if (own.size >= size) return OTHER
    own.add(value)
    return value
  }
}
