import { html } from 'htm/preact'
import { useState } from 'preact/hooks'
import type { SeenAgent } from '../agent-list.ts'
import { assignRequest, takeAwayRequest } from '../agent-requests.ts'
import { type Agent, type AgentCallback, leaseText } from '../agents.ts'
import { isCallbackId, shortId } from '../callbacks.ts'
import { number } from '../format.ts'
import { hrefOf } from '../router.ts'
import { IdLink } from './callback-marks.ts'
import { Confirm } from './confirm.ts'
import { fieldText } from './field-text.ts'
import { useSending } from './use-sending.ts'

interface AgentCallbacks {
  readonly seen: SeenAgent
  readonly mayManage: boolean
  /** The service's time of now. */
  readonly now: number
  readonly onChanged: () => void
}

/** What an agent holds and what is assigned to it. An operator can take callbacks away and assign others. */
export function AgentCallbacks({ seen: { agent, callbacks, hasMore }, mayManage, now, onChanged }: AgentCallbacks) {
  const [taking, setTaking] = useState<AgentCallback>()
  const { isBusy, send } = useSending(onChanged)
  const answered = (isConfirmed: boolean): void => {
    setTaking(undefined)
    if (isConfirmed && taking) void send(takeAwayRequest(agent, taking.id), 'The callback is taken away. Another agent may take it.')
  }
  const row = (callback: AgentCallback) => html`<tr key=${callback.id}>
    <th scope="row" class="nowrap"><${IdLink} id=${callback.id} href=${hrefOf('callbacks', callback.id, { workspace: agent.workspace })} /></th>
    <td>${callback.state}${callback.assigned && html`, <strong>assigned</strong>`}</td>
    <td>${leaseText(callback, now)}</td>
    <td class="number">${callback.leased_at === null ? number(callback.objects) : `${number(callback.delivered)} of ${number(callback.objects)}`}</td>
    ${mayManage && html`<td><button type="button" aria-disabled=${isBusy} aria-label="Take away… ${shortId(callback.id)}" onClick=${() => !isBusy && setTaking(callback)}>Take away…</button></td>`}
  </tr>`
  return html`<section aria-labelledby="agent-callbacks">
    <h3 id="agent-callbacks">Callbacks</h3>
    ${callbacks.length === 0 && html`<p class="quiet">It holds no callback, and none is assigned to it.</p>`}
    ${
      callbacks.length > 0 &&
      html`<div class="scroll" tabindex="0" role="region" aria-label="Table of its callbacks">
        <table class="callbacks">
          <caption class="hidden">Callbacks that the agent holds or that are assigned to it</caption>
          <thead>
            <tr><th scope="col">Callback</th><th scope="col">State</th><th scope="col">Leased for</th><th scope="col" class="number">Delivered</th>${mayManage && html`<td></td>`}</tr>
          </thead>
          <tbody>${callbacks.map(row)}</tbody>
        </table>
      </div>`
    }
    ${hasMore && html`<p class="quiet">These are the first ${number(callbacks.length)}.</p>`}
    ${mayManage && agent.archived_at === null && html`<${Assign} agent=${agent} onChanged=${onChanged} />`}
    ${
      taking &&
      html`<${Confirm}
        title="Take ${shortId(taking.id)} away?"
        text="Its lease ends at once. What was delivered is kept, and another agent may take the rest. Later results of this agent for it are refused."
        verb="Take it away"
        onAnswer=${answered}
      />`
    }
  </section>`
}

/** Assigns a callback by hand. */
function Assign({ agent, onChanged }: { agent: Agent; onChanged: () => void }) {
  const [text, setText] = useState('')
  const [isAsking, setAsking] = useState(false)
  const { isBusy, send } = useSending(onChanged)
  const id = text.trim().toLowerCase()
  const isWrong = id !== '' && !isCallbackId(id)
  const submit = (event: Event): void => {
    event.preventDefault()
    if (isCallbackId(id) && !isBusy) setAsking(true)
  }
  const answered = async (isConfirmed: boolean): Promise<void> => {
    setAsking(false)
    if (isConfirmed && (await send(assignRequest(agent, id), `The callback is assigned to ${agent.name}.`))) setText('')
  }
  return html`<form class="row assign" onSubmit=${submit}>
    <label>Assign a callback by its id
      <input class="id" size="36" autocomplete="off" spellcheck=${false} value=${text} aria-invalid=${isWrong} aria-describedby="assign-hint" onInput=${(event: Event) => setText(fieldText(event))} />
    </label>
    <button type="submit" aria-disabled=${isBusy || !isCallbackId(id)}>Assign…</button>
    <span id="assign-hint" class="hint ${isWrong ? 'bad' : 'hidden'}">${isWrong ? 'This is not the id of a callback.' : 'A UUID.'}</span>
    ${
      isAsking &&
      html`<${Confirm}
        title="Assign ${shortId(id)} to ${agent.name}?"
        text="Only this agent may then take it, whatever its labels. If another agent holds it, that lease ends at once."
        verb="Assign it"
        onAnswer=${answered}
      />`
    }
  </form>`
}
