import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import { archiveRequest, changeRequest, changesOf, formOf, restoreRequest } from '../agent-requests.ts'
import type { Agent } from '../agents.ts'
import { AgentFields } from './agent-fields.ts'
import { Confirm } from './confirm.ts'
import { useSending } from './use-sending.ts'

/** What an operator can do to an agent: archive it, restore it, change its members. */
export function AgentActions({ agent, onChanged }: { agent: Agent; onChanged: () => void }) {
  const [isAsking, setAsking] = useState(false)
  const { isBusy, send } = useSending(onChanged)
  const isArchived = agent.archived_at !== null
  const answered = (isConfirmed: boolean): void => {
    setAsking(false)
    if (isConfirmed) void send(archiveRequest(agent), 'It is archived: it gets no new callbacks.')
  }
  const restore = (): unknown => send(restoreRequest(agent), 'It is restored.')
  return html`<div class="row actions">
      ${
        isArchived
          ? html`<button type="button" aria-disabled=${isBusy} onClick=${restore}>Restore</button>`
          : html`<button type="button" aria-disabled=${isBusy} onClick=${() => !isBusy && setAsking(true)}>Archive…</button>`
      }
    </div>
    <${AgentChanges} agent=${agent} onChanged=${onChanged} />
    ${
      isAsking &&
      html`<${Confirm}
        title="Archive ${agent.name}?"
        text="It gets no new callbacks, and those assigned to it go to other agents. It may finish what it holds. You can restore it."
        verb="Archive ${agent.name}"
        onAnswer=${answered}
      />`
    }`
}

/** Changes what the operator has changed in the fields, and nothing else. */
function AgentChanges({ agent, onChanged }: { agent: Agent; onChanged: () => void }) {
  const [edited, setEdited] = useState({ form: formOf(agent), before: formOf(agent) })
  const { isBusy, send } = useSending(onChanged)
  const { form, before } = edited
  const changes = changesOf(form, before)
  const isChanged = Object.keys(changes).length > 0
  // What somebody else changes meanwhile shows in the fields that nobody has touched.
  const shown = isChanged ? form : formOf(agent)
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    if (!isChanged || isBusy) return
    const sent = await send<Agent>(changeRequest(agent, changes), 'The agent is changed.')
    if (sent) setEdited({ form: formOf(sent.answer), before: formOf(sent.answer) })
  }
  const change = (changed: typeof form): void => setEdited({ form: changed, before: isChanged ? before : formOf(agent) })
  return html`<details>
    <summary>Change the agent</summary>
    <form onSubmit=${submit}>
      <${AgentFields} form=${shown} onChange=${change} />
      <button type="submit" aria-disabled=${isBusy || !isChanged}>Save</button>
    </form>
  </details>`
}
