import { html } from 'htm/preact'
import type { Place } from '../router.ts'

export function SendersView(_: { place: Place }) {
  return html`<h2>Senders</h2>`
}
