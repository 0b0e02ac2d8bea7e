import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import type { CallbackObject } from '../callbacks.ts'
import { number } from '../format.ts'
import { hrefOf } from '../router.ts'
import { fieldText } from './field-text.ts'

const STEP = 100
const SYMBOLS: Readonly<Record<string, string>> = { pending: '○', stored: '✓', offline: '◌', not_found: '∅', failed: '✗', cancelled: '⊘' }

/** What an operator looks for first. */
const URGENT = ['failed', 'pending']

/** The objects of a callback with their outcomes, at most 100 at first: those that failed, those that are missing, then the others. */
export function CallbackObjects({ objects, workspace }: { objects: readonly CallbackObject[]; workspace: string }) {
  const [sought, setSought] = useState('')
  const [outcome, setOutcome] = useState('')
  const [shown, setShown] = useState(STEP)
  const counts = countsOf(objects)
  const found = objects
    .filter(({ id, outcome: own }) => (outcome === '' || own === outcome) && String(id).includes(sought.trim()))
    .sort((a, b) => rankOf(a) - rankOf(b))
  return html`<section aria-labelledby="objects">
    <h3 id="objects">Objects</h3>
    <p>${[...counts].map(([name, count]) => `${number(count)} ${words(name)}`).join(', ') || 'It names none.'}</p>
    <div class="row">
      <label>Find by id <input inputmode="numeric" autocomplete="off" value=${sought} onInput=${(event: Event) => setSought(fieldText(event))} /></label>
      <label>Outcome
        <select value=${outcome} onChange=${(event: Event) => setOutcome(fieldText(event))}>
          <option value="">any</option>
          ${[...counts.keys()].map(name => html`<option value=${name}>${words(name)}</option>`)}
        </select>
      </label>
      <span class="quiet">${number(Math.min(shown, found.length))} of ${number(found.length)} shown</span>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of objects">
      <table>
        <caption class="hidden">Objects of the callback and what became of them</caption>
        <thead><tr><th scope="col">Object</th><th scope="col">Outcome</th><th scope="col">Reason</th></tr></thead>
        <tbody>
          ${found.slice(0, shown).map(
            ({ id, outcome, reason }) => html`<tr key=${String(id)}>
              <td><a class="id" href=${hrefOf('callbacks', undefined, { workspace, object_id: String(id) })} title="Callbacks that name this object">${String(id)}</a></td>
              <td class=${outcome === 'failed' ? 'bad' : ''}><span aria-hidden="true">${SYMBOLS[outcome] ?? '?'}</span> ${words(outcome)}</td>
              <td>${reason}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${found.length > shown && html`<button type="button" onClick=${() => setShown(shown + STEP)}>Show ${Math.min(STEP, found.length - shown)} more</button>`}
  </section>`
}

function countsOf(objects: readonly CallbackObject[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { outcome } of objects) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  return counts
}

function rankOf({ outcome }: CallbackObject): number {
  const rank = URGENT.indexOf(outcome)
  return rank < 0 ? URGENT.length : rank
}

function words(outcome: string): string {
  return outcome.replaceAll('_', ' ')
}
