/** Formats a duration for people: `0.4 ms`, `3 ms`, `1.4 s`, `2 min 5 s`, `3 h 10 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`
  if (ms < 9.95) return `${Number(ms.toFixed(1))} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60]
  if (days > 0) return `${days} d ${hours} h`
  if (hours > 0) return `${hours} h ${minutes} min`
  return `${minutes} min ${seconds % 60} s`
}

/** Formats an age in whole seconds, which does not flicker: `12 s`, `2 min 5 s`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1000)
}

/** Formats a time of day, with milliseconds, in the zone of the browser. */
export function clock(at: string | number): string {
  const date = new Date(at)
  return `${timeOfDay(at)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** Formats a time of day to the second, in the zone of the browser: `14:03:59`. */
export function timeOfDay(at: string | number): string {
  return TIME_OF_DAY.format(new Date(at))
}

// With `hour12: false`, some languages call midnight 24:00:00.
const TIME_OF_DAY = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })

/** Formats a number for people: `1,234`, `12.3`, `0.5`, `0.03`. */
export function number(value: number): string {
  const size = Math.abs(value)
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : 2
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}

/** Formats a number in little space, for an axis: `950`, `1.2K`, `3M`. */
export function compact(value: number): string {
  return COMPACT.format(value)
}

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** Formats a size: `512 B`, `1.5 KiB`, `20 MiB`. */
export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let left = size
  for (; left >= 1023.5 && unit < units.length - 1; unit++) left /= 1024
  return `${left >= 10 || unit === 0 ? Math.round(left) : Number(left.toFixed(1))} ${units[unit]}`
}
