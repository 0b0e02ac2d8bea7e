import { html } from 'htm/preact'
import { useEffect, useState } from 'preact/hooks'
import { type CallbackFilter, int64Of, queryOf } from '../callback-filter.ts'
import { CALLBACK_STATES, type CallbackState, isCallbackId } from '../callbacks.ts'
import { hrefOf, placeOf } from '../router.ts'
import { fieldText } from './field-text.ts'
import { useWorkspaceNames } from './use-workspace-names.ts'

/** Chooses the callbacks of the table. The choice goes into the address. */
export function CallbackFilterForm({ filter }: { filter: CallbackFilter }) {
  const names = useWorkspaceNames(filter.workspace)
  const go = (changes: Partial<CallbackFilter>): void => {
    location.hash = hrefOf('callbacks', undefined, queryOf({ ...filter, ...changes }))
  }
  const toggle = (state: CallbackState): void => {
    const { states } = filter
    go({ states: states.includes(state) ? states.filter(other => other !== state) : [...states, state] })
  }
  return html`<div class="filter">
    <label>Workspace
      <select value=${filter.workspace} onChange=${(event: Event) => go({ workspace: fieldText(event), objectId: '' })}>
        ${names.map(name => html`<option key=${name} value=${name}>${name}</option>`)}
      </select>
    </label>
    <fieldset>
      <legend>States</legend>
      ${CALLBACK_STATES.map(
        state =>
          html`<label><input type="checkbox" checked=${filter.states.includes(state)} onChange=${() => toggle(state)} /> ${state}</label>`,
      )}
    </fieldset>
    <${ObjectIdField} objectId=${filter.objectId} onChoose=${(objectId: string) => go({ objectId })} />
    <${IdField} workspace=${filter.workspace} />
  </div>`
}

function ObjectIdField({ objectId, onChoose }: { objectId: string; onChoose: (objectId: string) => void }) {
  const [text, setText] = useState(objectId)
  useEffect(() => setText(objectId), [objectId])
  const isWrong = text.trim() !== '' && int64Of(text) === undefined
  const submit = (event: Event): void => {
    event.preventDefault()
    if (!isWrong) onChoose(int64Of(text) ?? '')
  }
  const leave = (event: Event): void => {
    // The field also loses the focus when it goes away because the address has changed. That change stays.
    const { view, id } = placeOf(location.hash)
    if (view === 'callbacks' && id === undefined) submit(event)
  }
  return html`<form onSubmit=${submit}>
    <label>Object id
      <input inputmode="numeric" autocomplete="off" size="14" value=${text} aria-invalid=${isWrong} aria-describedby="object-id-hint" onInput=${(event: Event) => setText(fieldText(event))} onBlur=${leave} />
    </label>
    <button type="submit">Filter</button>
    <span id="object-id-hint" class="hint ${isWrong ? 'bad' : 'hidden'}">${isWrong ? 'This is not a 64-bit integer.' : 'A 64-bit integer. Empty: any object.'}</span>
  </form>`
}

function IdField({ workspace }: { workspace: string }) {
  const [text, setText] = useState('')
  const isWrong = text.trim() !== '' && !isCallbackId(text.trim())
  const submit = (event: Event): void => {
    event.preventDefault()
    if (!isCallbackId(text.trim())) return
    location.hash = hrefOf('callbacks', text.trim().toLowerCase(), { workspace })
  }
  return html`<form onSubmit=${submit}>
    <label>Callback id
      <input class="id" autocomplete="off" size="14" value=${text} aria-invalid=${isWrong} aria-describedby="callback-id-hint" onInput=${(event: Event) => setText(fieldText(event))} />
    </label>
    <button type="submit">Open</button>
    <span id="callback-id-hint" class="hint ${isWrong ? 'bad' : 'hidden'}">${isWrong ? 'This is not the id of a callback.' : 'A UUID.'}</span>
  </form>`
}
