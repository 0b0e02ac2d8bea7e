import { html } from 'htm/preact'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { activity, rows } from '../activity.ts'
import { number, timeOfDay } from '../format.ts'
import { inWords, type PlotFacts, type Values, valuesOf, withUnit } from '../plots.ts'
import { paint } from '../scheme.ts'
import { useStore } from '../store.ts'
import { DASHES, HEIGHT, plotOptions } from './plot-options.ts'

/** A plot of the last 15 minutes. It draws itself when rows come; nothing of the tree is rendered again. */
export function Plot({ facts }: { facts: PlotFacts }) {
  const figure = useRef<HTMLElement>(null)
  const painted = useStore(paint)
  useEffect(() => (figure.current ? draw(figure.current, facts) : undefined), [facts, painted])
  return html`<figure class="plot" ref=${figure}>
    <figcaption>
      <strong>${facts.title}</strong> <span class="quiet">${facts.scope}</span> <span class="at" aria-hidden="true"></span>
      <span class="legend" aria-hidden="true">
        ${facts.lines.map(({ name }, index) => html`<span><${Sample} index=${index} /> ${name} <b></b></span>`)}
      </span>
    </figcaption>
    <div class="canvas" aria-hidden="true"></div>
    <p class="hidden words"></p>
  </figure>`
}

/** How a line looks, for the legend. */
function Sample({ index }: { index: number }) {
  return html`<svg width="14" height="8" class=${`series-${index + 1}`}>
    <line x1="0" y1="4" x2="14" y2="4" stroke="currentColor" stroke-width="2" stroke-dasharray=${DASHES[index]?.join(' ')} />
  </svg>`
}

/** @returns what ends it */
function draw(figure: HTMLElement, { lines, unit, ...facts }: PlotFacts): () => void {
  const host = figure.querySelector('.canvas') as HTMLElement
  const words = figure.querySelector('.words') as HTMLElement
  const time = figure.querySelector('.at') as HTMLElement
  const figures = [...figure.querySelectorAll('b')]
  let data: Values[] = []

  /** Shows the values under the cursor, or else the newest. */
  const say = ({ data: [times], cursor: { idx, idxs } }: uPlot): void => {
    const at = idx == null ? undefined : times?.[idx]
    lines.forEach((_, index) => {
      const values = data[index] ?? []
      const value = at === undefined ? values.findLast(value => value != null) : values[idxs?.[index + 1] ?? -1]
      ;(figures[index] as HTMLElement).textContent = value == null ? '–' : unit === 'rate' ? number(value) : withUnit(value, unit)
    })
    time.textContent = at === undefined ? '' : `at ${timeOfDay(at + offset())}`
  }
  const plot = new uPlot(plotOptions({ ...facts, lines, unit, width: host.clientWidth, offset, onCursor: say }), undefined, host)
  const update = (): void => {
    data = lines.map(line => valuesOf(line, rows))
    plot.setData([[...rows.at], ...data] as uPlot.AlignedData)
    say(plot)
    words.textContent = lines.map(({ name }, index) => inWords(name, data[index] ?? [], unit)).join(' ')
  }
  const resized = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: HEIGHT }))
  update()
  resized.observe(host)
  const forget = activity.subscribe(update)
  return () => {
    forget()
    resized.disconnect()
    plot.destroy()
  }
}

/** What to add to the time of a row to get the time of the service's clock. */
function offset(): number {
  return activity.value?.now.clock_offset_ms ?? 0
}
