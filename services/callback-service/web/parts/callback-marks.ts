import { html } from 'htm/preact'
import { type CallbackState, isFinished, type ListedCallback, shortId } from '../callbacks.ts'
import { age, clock, duration } from '../format.ts'
import { announce } from './announcement.ts'

const SYMBOLS: Readonly<Record<CallbackState, string>> = {
  pending: '○',
  running: '▶',
  paused: 'Ⅱ',
  completed: '✓',
  failed: '✗',
  cancelled: '⊘',
}

/** A state as symbol and text, so that nobody has to know its colour. */
export function StateMark({ callback: { state, activated } }: { callback: Pick<ListedCallback, 'state' | 'activated'> }) {
  const note = state === 'running' && !activated ? ', then paused' : ''
  return html`<span class="state ${state}"><span aria-hidden="true">${SYMBOLS[state] ?? '?'}</span> ${state}${note}</span>`
}

/** A short id with its link, and a button that copies all of it. */
export function IdLink({ id, href }: { id: string; href: string }) {
  return html`<a class="id" href=${href} title=${id}>${shortId(id)}</a> <${CopyButton} text=${id} />`
}

export function CopyButton({ text }: { text: string }) {
  // Browsers have it only where the address is that of this machine, or is encrypted.
  if (!navigator.clipboard) return null
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => announce(`Copied ${text}.`),
      () => announce(`The browser did not let the page copy ${text}.`, true),
    )
  }
  return html`<button type="button" class="copy" aria-label="Copy ${text}" title="Copy" onClick=${copy}></button>`
}

/** A time of day with its age. Times of other days have their date. */
export function Moment({ at, now }: { at: string; now: number }) {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString()
  const date = isToday ? '' : `${new Date(at).toLocaleDateString()} `
  return html`<time dateTime=${at} title=${at}>${date}${clock(at)}</time> <span class="quiet age">${age(now - Date.parse(at))} ago</span>`
}

/** How long a callback took, or how long it has waited. */
export function spanText(callback: ListedCallback, now: number): string {
  const { received_at, finished_at, due_at, state } = callback
  const from = Date.parse(received_at)
  if (isFinished(callback) && finished_at) return `${duration(Math.max(0, Date.parse(finished_at) - from))}`
  if (state === 'pending' && due_at && Date.parse(due_at) - now > 1000) return `again in ${age(Date.parse(due_at) - now)}`
  return `${age(now - from)} so far`
}
