import { compact, duration, number } from './format.ts'
import { bridged, trailingMean } from './recent.ts'
import type { ActivityRows, ColumnName } from './rows.ts'

/** A line of a plot. Its place in the plot gives it its colour and dashes. */
export interface Line {
  readonly name: string
  readonly column: ColumnName
  /** `mean` of 10 s; `exact`; or `sparse`: seconds in which there was nothing to measure do not interrupt it at once. */
  readonly shape: 'mean' | 'exact' | 'sparse'
}

/** A plot of the view `now`. */
export interface PlotFacts {
  readonly title: string
  readonly scope: 'all replicas' | 'this replica'
  readonly unit: 'count' | 'rate' | 'time'
  readonly lines: readonly Line[]
}

export const PLOTS: readonly PlotFacts[] = [
  {
    ...{ title: 'Callbacks a second', scope: 'this replica', unit: 'rate' },
    lines: [
      { name: 'accepted', column: 'accepted', shape: 'mean' },
      { name: 'completed', column: 'completed', shape: 'mean' },
      { name: 'failed', column: 'failed', shape: 'mean' },
    ],
  },
  {
    ...{ title: 'Backlog', scope: 'all replicas', unit: 'count' },
    lines: [{ name: 'unfinished', column: 'backlog', shape: 'exact' }],
  },
  {
    ...{ title: 'Done in about', scope: 'all replicas', unit: 'time' },
    lines: [{ name: 'estimate', column: 'eta_ms', shape: 'exact' }],
  },
  {
    ...{ title: 'Live objects', scope: 'all replicas', unit: 'count' },
    lines: [{ name: 'objects', column: 'live_objects', shape: 'exact' }],
  },
  {
    ...{ title: 'Fetches', scope: 'this replica', unit: 'count' },
    lines: [
      { name: 'in flight', column: 'fetches_in_flight', shape: 'exact' },
      { name: 'waiting', column: 'fetches_waiting', shape: 'exact' },
    ],
  },
  {
    ...{ title: 'Fetches a second', scope: 'this replica', unit: 'rate' },
    lines: [
      { name: 'answered', column: 'fetches_done', shape: 'mean' },
      { name: 'failed', column: 'fetches_failed', shape: 'mean' },
    ],
  },
  {
    ...{ title: 'Time to accept', scope: 'this replica', unit: 'time' },
    lines: [
      { name: 'p50', column: 'accept_p50_ms', shape: 'sparse' },
      { name: 'p99', column: 'accept_p99_ms', shape: 'sparse' },
    ],
  },
  {
    ...{ title: 'Expiry lateness', scope: 'this replica', unit: 'time' },
    lines: [
      { name: 'p99', column: 'lateness_p99_ms', shape: 'sparse' },
      { name: 'highest', column: 'lateness_max_ms', shape: 'sparse' },
    ],
  },
]

/** Rows that a mean is taken over, and that a sparse line crosses. */
const ROWS = 10

/** A value of null is a gap, one of undefined is crossed. */
export type Values = readonly (number | null | undefined)[]

/** Returns the values of a line, one a row. */
export function valuesOf({ column, shape }: Line, rows: ActivityRows): Values {
  const values = rows.column(column)
  if (shape === 'mean') return trailingMean(values, ROWS)
  // Every sample has a rate.
  return shape === 'sparse' ? bridged(values, rows.column('accepted'), ROWS) : [...values]
}

/** Writes a value with its unit. */
export function withUnit(value: number, unit: PlotFacts['unit']): string {
  if (unit === 'time') return duration(value)
  return unit === 'rate' ? `${number(value)} /s` : number(value)
}

/** Writes a value for an axis. */
export function onAxis(value: number, unit: PlotFacts['unit']): string {
  return unit === 'time' ? duration(value).replace('.0 s', ' s').replace(' min 0 s', ' min').replace(' h 0 min', ' h') : compact(value)
}

/** Says in words what a line shows: for those who do not see it. */
export function inWords(name: string, values: Values, unit: PlotFacts['unit']): string {
  const known = values.filter(value => value != null)
  const last = known.at(-1)
  if (last === undefined) return `${name}: no value in the last 15 minutes.`
  const [low, high] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)] as const, [last, last] as const)
  return `${name}: newest ${withUnit(last, unit)}, lowest ${withUnit(low, unit)}, highest ${withUnit(high, unit)}.`
}
