/** Says how many callbacks are in a state: `1 callback is`, `1,200 callbacks are`. */
export function callbacks(count: number): string {
  return count === 1 ? '1 callback is' : `${number(count)} callbacks are`
}

/** Writes an integer in groups of three digits. Node may have been built without the names and formats of languages. */
export function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Writes a time as people say it: `350 ms`, `12 s`, `5 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  return ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`
}

/** Ends a reason with a full stop. */
export function sentence(reason: string): string {
  const trimmed = reason.trim()
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`
}
