import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import type { Fetches } from '../activity-types.ts'
import { fetchesText } from '../fetches-text.ts'
import { clock, duration } from '../format.ts'
import { type Bar, barsOf, type TimelineEvent } from '../timeline.ts'
import { FetchRows } from './fetch-rows.ts'
import { BarCell, type Scale } from './timeline-bar.ts'

interface TimelineTable {
  readonly events: readonly TimelineEvent[]
  readonly fetches: Fetches | undefined
  readonly now: number
  readonly workspace: string
}

/** What happened to a callback, as a table in which each line has its bar. */
export function TimelineTable({ events, fetches, now, workspace }: TimelineTable) {
  const bars = barsOf(events, fetches?.fetches ?? [], now)
  const [zoomed, setZoomed] = useState(-1)
  const attempts = bars.filter(({ kind }) => kind === 'attempt')
  const zoom = attempts[zoomed]
  const scale = scaleOf(zoom ? [zoom] : bars)
  const first = bars[0]?.from ?? now
  return html`<section aria-labelledby="timeline">
    <h3 id="timeline">Timeline</h3>
    <div class="row">
      <label>Show
        <select value=${zoom ? zoomed : -1} onChange=${(event: Event) => setZoomed(Number((event.target as HTMLSelectElement).value))}>
          <option value=${-1}>everything</option>
          ${attempts.map(({ label }, index) => html`<option value=${index}>${label.split(',')[0]}</option>`)}
        </select>
      </label>
      <span class="quiet">From ${clock(scale.from)}, over ${duration(scale.to - scale.from)}</span>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Timeline as a table">
      <table class="timeline">
        <caption class="hidden">What happened to the callback, first to last. Begin is the time since its receipt.</caption>
        <thead>
          <tr><th scope="col">What</th><th scope="col" class="number">Begin</th><th scope="col" class="number">Took</th><th scope="col">Result</th><td class="picture"></td></tr>
        </thead>
        <tbody>
          ${(zoom ? [zoom] : bars).map(bar => html`<${Line} bar=${bar} first=${first} scale=${scale} workspace=${workspace} />`)}
        </tbody>
      </table>
    </div>
    <p class="quiet">${fetchesText(fetches, events)}${events.length > 40 ? ' The service keeps the first 10 and the last 40 events.' : ''}</p>
  </section>`
}

function Line({ bar, first, scale, workspace }: { bar: Bar; first: number; scale: Scale; workspace: string }) {
  const { kind, label, from, to, isOpen, result, isFailed, fetches } = bar
  return html`<tr class="line ${kind}">
      <td>${label}</td>
      <td class="number">+${duration(Math.max(0, from - first))}</td>
      <td class="number">${kind === 'event' ? '' : duration(to - from)}${isOpen ? ' so far' : ''}</td>
      <td class=${isFailed ? 'bad' : ''}>${isFailed && html`<span aria-hidden="true">✗ </span>`}${result}</td>
      <${BarCell} scale=${scale} from=${from} to=${to} kind=${kind} isFailed=${isFailed} isOpen=${isOpen} />
    </tr>
    ${fetches.length > 0 && html`<${FetchRows} fetches=${fetches} first=${first} scale=${scale} workspace=${workspace} />`}`
}

function scaleOf(bars: readonly Bar[]): Scale {
  const all = bars.flatMap(bar => [bar, ...bar.fetches])
  const from = Math.min(...all.map(bar => bar.from))
  return { from, to: Math.max(from + 1, ...all.map(({ to }) => to)) }
}
