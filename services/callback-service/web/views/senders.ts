import { html } from 'htm/preact'
import { useEffect, useState } from 'preact/hooks'
import { age, number, timeOfDay } from '../format.ts'
import { SenderRow } from '../parts/sender-row.ts'
import { hrefOf, type Place } from '../router.ts'
import { incompleteText } from '../sender-texts.ts'
import { accessKey } from '../session.ts'
import { useStore } from '../store.ts'
import { followTraffic, isNamePart, type KnownTraffic, type TrafficOrder, traffic, trafficProblem } from '../traffic.ts'

interface Column {
  readonly title: string
  /** What the heading explains when somebody points at it. */
  readonly hint?: string
  readonly order?: TrafficOrder
  readonly direction?: 'ascending' | 'descending' | 'other'
  readonly isNumber?: boolean
}

const COLUMNS: readonly Column[] = [
  { title: 'Workspace', order: 'name', direction: 'ascending' },
  { title: '15 minutes', hint: 'Received, by the minute: bars up. Failed: bars down. Each row has its own scale.' },
  { title: 'Received', order: 'traffic', direction: 'descending', isNumber: true },
  { title: 'Failed', order: 'failures', direction: 'descending', isNumber: true },
  {
    title: 'Last seen',
    order: 'silence',
    direction: 'other',
    hint: 'Silent: nothing came for three times the usual gap, and for two minutes.',
  },
  { title: 'Unfinished', hint: 'Callbacks that are not finished, paused ones included.', isNumber: true },
  { title: 'Limits', order: 'limits', direction: 'descending' },
]

const PAGE = 100
const MAX_ROWS = 1000
/** Older data than this is worth a warning: several readings have failed. */
const OLD_MS = 20_000

/** Who sends, who has stopped, and who is near a limit. */
export function SendersView({ place }: { place: Place }) {
  const sort = COLUMNS.find(({ order }) => order === place.query.get('sort'))?.order ?? 'traffic'
  const name = place.query.get('name') ?? ''
  const [limit, setLimit] = useState(PAGE)
  const known = useStore(traffic)
  const key = useStore(accessKey)
  useEffect(() => followTraffic({ sort, name, limit }), [sort, name, limit, key])
  const isAnswered = known?.query.sort === sort && known.query.name === name
  const isPossible = isNamePart(name)
  return html`
    <h2>Senders</h2>
    <form class="find" role="search" onSubmit=${(event: Event) => event.preventDefault()}>
      <label>Find by name <input type="search" maxlength="64" value=${name} onInput=${(event: Event) => find(event, sort)} /></label>
    </form>
    ${isPossible && html`<${Freshness} />`}
    ${!isPossible && html`<p>No workspace can have such a name.</p>`}
    ${isPossible && known && html`<${Senders} known=${known} sort=${sort} name=${name} isAnswered=${isAnswered} />`}
    ${
      isPossible &&
      known &&
      known.traffic.workspaces.length < Math.min(MAX_ROWS, known.traffic.total) &&
      html`<p><button type="button" onClick=${() => setLimit(Math.min(MAX_ROWS, limit + PAGE))}>Show more</button></p>`
    }
  `
}

function Senders({ known, sort, name, isAnswered }: { known: KnownTraffic; sort: TrafficOrder; name: string; isAnswered: boolean }) {
  const { workspaces, total, to, age_ms: ageMs } = known.traffic
  const atMs = Date.parse(to) + ageMs
  const isTruncated = workspaces.length < total
  return html`<div class="scroll" role="region" aria-label="Senders" tabindex="0">
    <table class="senders" aria-busy=${!isAnswered}>
      <caption class="quiet">
        ${workspaces.length === 0 ? 'No workspace has such a name.' : `${number(workspaces.length)}${isTruncated ? ` of ${number(total)}` : ''} workspaces, in the last 15 minutes`}
      </caption>
      <thead>
        <tr>${COLUMNS.map(column => html`<${Heading} key=${column.title} column=${column} sort=${sort} name=${name} />`)}</tr>
      </thead>
      <tbody>
        ${workspaces.map(sender => html`<${SenderRow} key=${sender.workspace} sender=${sender} atMs=${atMs} />`)}
      </tbody>
    </table>
  </div>`
}

/** A heading that sorts is a link, so that the order is in the address. */
function Heading({ column, sort, name }: { column: Column; sort: TrafficOrder; name: string }) {
  const { title, hint, order, direction, isNumber } = column
  const isSorted = order !== undefined && order === sort
  const text = order ? html`<a href=${hrefOf('senders', undefined, { sort: order, name })}>${title}</a>` : title
  return html`<th scope="col" class=${isNumber ? 'number' : undefined} title=${hint} aria-sort=${isSorted ? direction : undefined}>
    ${text}${isSorted && html`<span aria-hidden="true">${direction === 'ascending' ? ' ▲' : ' ▼'}</span>`}
  </th>`
}

/** Says how old the table is, and why if it is not fresh. */
function Freshness() {
  const known = useStore(traffic)
  const problem = useStore(trafficProblem)
  const [, tick] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => tick(ticks => ticks + 1), 1000)
    return () => clearInterval(timer)
  }, [])
  if (!known) return html`<p role="status" class=${problem ? 'bad' : 'quiet'}>${problem ?? 'Reading the traffic …'}</p>`
  const { to, age_ms: ageMs } = known.traffic
  const oldMs = ageMs + Date.now() - known.answeredAt
  const isOld = oldMs > OLD_MS
  const incomplete = incompleteText(known.traffic)
  return html`
    <p class="quiet">As of ${timeOfDay(to)}, ${age(oldMs)} ago. ${incomplete}</p>
    <p role="status">
      ${(problem || isOld) && html`<span class="notice warn"><span aria-hidden="true">▲ </span>${problem ?? (ageMs > OLD_MS ? 'The database could not be read lately.' : 'Reading the traffic …')} The table is from ${timeOfDay(to)}.</span>`}
    </p>
  `
}

function find(event: Event, sort: TrafficOrder): void {
  const { value } = event.currentTarget as HTMLInputElement
  location.replace(hrefOf('senders', undefined, { sort, name: value.trim() }))
}
