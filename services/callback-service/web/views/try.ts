import { html } from 'htm/preact'
import type { Place } from '../router.ts'

export function TryView(_: { place: Place }) {
  return html`<h2>Try</h2>`
}
