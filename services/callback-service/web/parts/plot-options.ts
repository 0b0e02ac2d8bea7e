import type uPlot from 'uplot'
import { onAxis, type PlotFacts } from '../plots.ts'
import { colour } from '../scheme.ts'
import { labelEnds } from './plot-labels.ts'

/** Height of a plot with its axis, CSS pixels. */
export const HEIGHT = 130

/** How the first, second and third line of a plot are drawn. Colours alone do not tell them apart. */
export const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3]]

const FONT = '11px system-ui, sans-serif'
const SECOND = 1000
const MINUTE = 60 * SECOND
/** A process that has just started fills the plot in this time. Later the time scale gets longer. */
const SHORTEST_SPAN_MS = 2 * MINUTE
const LONGEST_SPAN_MS = 15 * MINUTE
/** Steps of an axis in ms. Those above a second are such as people count time by. */
const TIME_STEPS = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND],
  ...[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14_400, 43_200, 144_000, 525_600].map(minutes => minutes * MINUTE),
]

/**
 * Options of uPlot: one time scale of 15 minutes, a cursor that all plots share, and the names of the lines at their ends.
 * @param options `offset` what to add to the time of a row to show it; `onCursor` the cursor moved in one of the plots
 */
export function plotOptions(
  options: PlotFacts & { readonly width: number; readonly offset: () => number; readonly onCursor: (plot: uPlot) => void },
): uPlot.Options {
  const { lines, unit, width, offset, onCursor } = options
  const colours = lines.map((_, index) => colour(`--series-${index + 1}`))
  const [text, grid] = [colour('--quiet'), { stroke: colour('--line'), width: 1 }]
  return {
    width,
    height: HEIGHT,
    ms: 1,
    padding: [8, 66, 0, 0],
    legend: { show: false },
    tzDate: at => new Date(at + offset()),
    cursor: {
      y: false,
      sync: { key: 'now' },
      drag: { x: false, y: false, setScale: false },
      bind: { dblclick: () => null },
      points: { size: 7 },
    },
    scales: {
      x: { time: true, range: (_plot, low, high) => spanOf(low ?? 0, high ?? 0) },
      y: { range: (_plot, _low, high) => [0, high ? high * 1.1 : 1] },
    },
    axes: [
      {
        ...{ stroke: text, font: FONT, size: 24, gap: 5, grid },
        ticks: { show: false },
        incrs: [MINUTE, 2 * MINUTE, 5 * MINUTE],
        values: '{HH}:{mm}',
      },
      {
        ...{ stroke: text, font: FONT, size: 52, gap: 4, grid, space: 20, ...(unit === 'time' && { incrs: TIME_STEPS }) },
        ...(unit === 'count' && { incrs: COUNT_STEPS }),
        ticks: { show: false },
        values: (_plot, splits) => splits.map(value => onAxis(value, unit)),
      },
    ],
    series: [
      {},
      ...lines.map(({ name }, index) => ({
        label: name,
        stroke: colours[index] as string,
        width: 1.75,
        dash: [...(DASHES[index] ?? [])],
        points: { size: 4 },
      })),
    ],
    hooks: { setCursor: [onCursor], draw: [plot => labelEnds(plot, FONT)] },
  }
}

function spanOf(low: number, high: number): [from: number, to: number] {
  return [high - Math.min(LONGEST_SPAN_MS, Math.max(SHORTEST_SPAN_MS, high - low)), high]
}

/** There is no half a callback. */
const COUNT_STEPS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map(step => step * 10 ** power)).flat()
