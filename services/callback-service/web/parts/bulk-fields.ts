import { html } from 'htm/preact'
import { type OperationForm, STATES_OF } from '../operations.ts'
import { MAX_PRIORITY, MIN_PRIORITY } from '../steering.ts'

interface BulkFields {
  readonly form: OperationForm
  readonly onChange: (form: OperationForm) => void
}

const KINDS: Readonly<Record<OperationForm['kind'], string>> = {
  retry: 'Retry: one more round',
  cancel: 'Cancel',
  pause: 'Pause',
  resume: 'Resume',
  prioritise: 'Set the priority',
}

/** The fields of a change of many callbacks: what it does, and to which. */
export function BulkFields({ form, onChange }: BulkFields) {
  const { kind } = form
  const set = (name: keyof OperationForm) => (event: Event) => {
    const value = (event.target as HTMLInputElement).value
    if (form[name] === value) return
    const changed = { ...form, [name]: value } as OperationForm
    onChange(name === 'kind' ? { ...changed, state: '' } : changed)
  }
  const field = (label: string, name: keyof OperationForm, attributes: object) =>
    html`<label>${label} <input value=${form[name]} onInput=${set(name)} autocomplete="off" ...${attributes} /></label>`
  return html`
    <div class="fields">
      <label>Change
        <select value=${kind} onChange=${set('kind')}>
          ${Object.entries(KINDS).map(([name, text]) => html`<option value=${name}>${text}</option>`)}
        </select>
      </label>
      ${
        kind === 'retry' &&
        html`<label>Objects
          <select value=${form.objects} onChange=${set('objects')}><option value="missing">missing</option><option value="all">all</option></select>
        </label>`
      }
      ${
        (kind === 'retry' || kind === 'prioritise') &&
        field('Priority', 'priority', {
          type: 'number',
          min: MIN_PRIORITY,
          max: MAX_PRIORITY,
          required: kind === 'prioritise',
          placeholder: kind === 'retry' ? '-10' : '',
        })
      }
      ${field('Callbacks a second', 'rate', { type: 'number', min: 0.01, max: 100_000, step: 'any', placeholder: 'as set' })}
    </div>
    <div class="fields">
      <label>State
        <select value=${form.state} onChange=${set('state')}>
          <option value="">${kind === 'retry' ? 'failed (usual)' : 'any that can change'}</option>
          ${STATES_OF[kind].map(state => html`<option value=${state}>${state}</option>`)}
        </select>
      </label>
      ${field('Reason of an object', 'reason', { pattern: '[a-z0-9_]{1,64}', placeholder: 'http_503', title: 'Such as http_503 or timeout' })}
      ${field('Object id', 'objectId', { inputmode: 'numeric', pattern: '\\s*-?[0-9]{1,19}\\s*', title: 'A 64-bit integer' })}
      ${field('Received from', 'receivedAfter', { type: 'datetime-local', step: 1 })}
      ${field('Received before', 'receivedBefore', { type: 'datetime-local', step: 1 })}
    </div>
  `
}
