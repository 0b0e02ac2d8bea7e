import { html } from 'htm/preact'
import type { Figure } from '../figures.ts'

/** A group of figures under a heading. */
export function Figures({ id, title, figures }: { id: string; title: string; figures: readonly Figure[] }) {
  return html`<section aria-labelledby=${id} class="group">
    <h3 id=${id}>${title}</h3>
    <dl class="figures">
      ${figures.map(
        ({ label, value, note, state }) => html`<div key=${label} class=${`figure ${state ?? ''}`}>
          <dt>${label}</dt>
          <dd>${value}</dd>
          <dd class="note">${note}</dd>
        </div>`,
      )}
    </dl>
  </section>`
}
