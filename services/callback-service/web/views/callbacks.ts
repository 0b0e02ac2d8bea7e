import { html } from 'htm/preact'
import type { Place } from '../router.ts'

export function CallbacksView(_: { place: Place }) {
  return html`<h2>Callbacks</h2>`
}
