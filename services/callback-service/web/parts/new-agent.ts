import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import { createRequest, EMPTY_FORM } from '../agent-requests.ts'
import type { Agent } from '../agents.ts'
import { AgentFields } from './agent-fields.ts'
import { AgentKey } from './agent-key.ts'
import { useSending } from './use-sending.ts'

type CreatedAgent = Agent & { readonly key: string }

/** Makes an agent, and shows its key until the operator has it. */
export function NewAgent({ workspace, isOpen, onCreated }: { workspace: string; isOpen: boolean; onCreated: () => void }) {
  const [form, setForm] = useState(EMPTY_FORM)
  const [created, setCreated] = useState<CreatedAgent>()
  const { isBusy, send } = useSending(onCreated)
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    const sent = await send<CreatedAgent>(createRequest(form, workspace), `The agent ${form.name.trim()} is made. Copy its key now.`)
    if (!sent) return
    setCreated(sent.answer)
    setForm(EMPTY_FORM)
  }
  return html`
    ${created && html`<${AgentKey} name=${created.name} apiKey=${created.key} onDone=${() => setCreated(undefined)} />`}
    <details class="new-agent" open=${isOpen || undefined}>
      <summary>Make an agent</summary>
      <form onSubmit=${submit}>
        <${AgentFields} form=${form} onChange=${setForm} />
        <button type="submit" aria-disabled=${isBusy}>Make the agent</button>
      </form>
    </details>
  `
}
