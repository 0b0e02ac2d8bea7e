import { html } from 'htm/preact'
import type { AgentForm } from '../agent-requests.ts'
import { fieldText } from './field-text.ts'

interface AgentFields {
  readonly form: AgentForm
  readonly onChange: (form: AgentForm) => void
}

/** The fields of an agent. The service says what is wrong with them. */
export function AgentFields({ form, onChange }: AgentFields) {
  const set = (name: keyof AgentForm) => (event: Event) => onChange({ ...form, [name]: fieldText(event) })
  const field = (label: string, name: keyof AgentForm, attributes: object) =>
    html`<label>${label} <input value=${form[name]} onInput=${set(name)} autocomplete="off" spellcheck=${false} ...${attributes} /></label>`
  return html`<div class="fields">
    ${field('Name', 'name', { required: true, maxlength: 64 })}
    ${field('Description', 'description', {})}
    ${field('Labels', 'labels', { placeholder: 'plant=7 gpu', title: 'Separated by spaces. It gets callbacks that need no other label.' })}
    ${field('Callbacks at a time', 'maxLeases', { type: 'number', min: 1, max: 1000, placeholder: '16' })}
  </div>`
}
