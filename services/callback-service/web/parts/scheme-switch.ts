import { html } from 'htm/preact'
import { SCHEMES, type Scheme, scheme } from '../scheme.ts'
import { useStore } from '../store.ts'

/** Chooses the colours: those of the system, light, or dark. */
export function SchemeSwitch() {
  const chosen = useStore(scheme)
  const choose = (event: Event): void => scheme.set((event.currentTarget as HTMLSelectElement).value as Scheme)
  return html`<label class="scheme">
    Colours
    <select value=${chosen} onChange=${choose}>
      ${SCHEMES.map(name => html`<option value=${name}>${name}</option>`)}
    </select>
  </label>`
}
