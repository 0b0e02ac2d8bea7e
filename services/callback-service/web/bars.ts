/** The shape of a sparkline: bars up for one series, bars down for the other, and marks where nothing is known. */
export interface Bars {
  readonly up: string
  readonly down: string
  readonly unknown: string
  /** The highest bar upwards. */
  readonly most: number
}

/** Size of the drawing in its own units. The base line is at `BASE`. */
export const WIDTH = 120
export const HEIGHT = 32
export const BASE = 22
const GAP = 2
/** Of bars that are not 0. */
const MIN_HEIGHT = 1.5

/**
 * Draws two series as SVG paths, each with its own scale: three paths are cheap also for a thousand rows.
 * @param up null: not known
 */
export function barsOf(up: readonly (number | null)[], down: readonly (number | null)[]): Bars {
  const most = Math.max(0, ...up.map(value => value ?? 0))
  const mostDown = Math.max(0, ...down.map(value => value ?? 0))
  return {
    most,
    up: pathOf(up, value => -heightOf(value, most, BASE)),
    down: pathOf(down, value => heightOf(value, mostDown, HEIGHT - BASE)),
    unknown: pathOf(
      up.map(value => (value === null ? 1 : 0)),
      () => -MIN_HEIGHT,
    ),
  }
}

function heightOf(value: number, most: number, room: number): number {
  return Math.max(MIN_HEIGHT, (value / most) * room)
}

/** One closed bar for each value above 0, from the base line. */
function pathOf(values: readonly (number | null)[], heightOf: (value: number) => number): string {
  const step = WIDTH / values.length
  return values
    .map((value, n) => (value ? `M${round(n * step + GAP / 2)} ${BASE}v${round(heightOf(value))}h${round(step - GAP)}V${BASE}z` : ''))
    .join('')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
