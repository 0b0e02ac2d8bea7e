import { html } from 'htm/preact'
import type { LiveView } from '../live-callbacks.ts'

const STREAM: Readonly<Record<LiveView['stream'], readonly [symbol: string, style: string, text: string]>> = {
  connecting: ['◌', 'warn', 'Connecting'],
  behind: ['◔', 'warn', 'Catching up'],
  live: ['●', 'ok', 'Live'],
  lost: ['✗', 'bad', 'Connection lost. The rows stay as they were; the page tries again'],
}

/** Says whether the table shows what is, and why not. */
export function LiveStatus({ view: { stream, list, problem } }: { view: LiveView }) {
  const [symbol, style, text] = STREAM[stream]
  return html`<p class="live-status" role="status">
    <span class=${style}><span aria-hidden="true">${symbol}</span> ${text}</span>
    ${list === 'loading' && html`<span class="quiet"> · Reading the list</span>`}
    ${problem !== undefined && html`<span class="bad"> · ${list === 'retrying' ? 'The list cannot be read now' : 'There is no list'}: ${problem}</span>`}
  </p>`
}
