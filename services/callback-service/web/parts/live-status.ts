import { html } from 'htm/preact'
import { activity, connection } from '../activity.ts'
import type { LiveView } from '../live-callbacks.ts'
import { useStore } from '../store.ts'

const STREAM: Readonly<Record<LiveView['stream'], readonly [symbol: string, style: string, text: string]>> = {
  connecting: ['◌', 'warn', 'Connecting'],
  behind: ['◔', 'warn', 'Catching up'],
  live: ['●', 'ok', 'Live'],
  lost: ['✗', 'bad', 'Connection lost. The rows stay as they were; the page tries again'],
}

const WAITING = ['◌', 'warn', 'Waiting for Postgres. The rows stay as they were'] as const

const NOT_ALLOWED = ['⊘', 'warn', 'Your key may not follow changes. The rows are as they were when you came'] as const

/** Says whether the table shows what is, and why not. */
export function LiveStatus({ view: { stream, list, problem }, mayFollow }: { view: LiveView; mayFollow: boolean }) {
  // Without Postgres the stream stays open and silent.
  const isWaiting = useStore(activity)?.lights.some(({ name, state }) => name === 'postgres' && state === 'bad')
  const { state, problem: refused } = useStore(connection)
  // A process that hangs keeps the stream open too. The stream itself notices that only after a while.
  const isLost = stream === 'lost' || (state === 'lost' && refused === undefined)
  const [symbol, style, text] = !mayFollow ? NOT_ALLOWED : isLost ? STREAM.lost : isWaiting ? WAITING : STREAM[stream]
  return html`<p class="live-status" role="status">
    <span class=${style}><span aria-hidden="true">${symbol}</span> ${text}</span>
    ${list === 'loading' && html`<span class="quiet"> · Reading the list</span>`}
    ${problem !== undefined && html`<span class="bad"> · ${list === 'retrying' ? 'The list cannot be read now' : 'There is no list'}: ${problem}</span>`}
  </p>`
}
