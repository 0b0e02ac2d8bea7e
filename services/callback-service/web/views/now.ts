import { html } from 'htm/preact'
import type { Place } from '../router.ts'

export function NowView(_: { place: Place }) {
  return html`<h2>Now</h2>`
}
