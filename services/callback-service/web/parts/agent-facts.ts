import { html } from 'htm/preact'
import { type Agent, lastSeenText } from '../agents.ts'
import { number } from '../format.ts'
import { AgentMark, Labels, rateText } from './agent-rows.ts'
import { Moment } from './callback-marks.ts'

/** What an agent is and has done. @param props.now the service's time of now */
export function AgentFacts({ agent, rate, now }: { agent: Agent; rate: number | undefined; now: number }) {
  const { id, workspace, description, labels, version, max_leases: max, created_at: created, archived_at: archived } = agent
  return html`<dl class="facts">
    <div><dt>State</dt><dd><${AgentMark} agent=${agent} /></dd></div>
    <div><dt>Last seen</dt><dd>${lastSeenText(agent, now)}</dd></div>
    <div><dt>Workspace</dt><dd>${workspace}</dd></div>
    ${description && html`<div><dt>Description</dt><dd>${description}</dd></div>`}
    <div><dt>Labels</dt><dd><${Labels} labels=${labels} /></dd></div>
    <div><dt>Version</dt><dd>${version || 'unknown'}</dd></div>
    <div><dt>Callbacks at a time</dt><dd>at most ${number(max)}</dd></div>
    <div><dt>Objects a second</dt><dd>${rateText(rate)}</dd></div>
    <div><dt>Objects delivered</dt><dd>${number(agent.objects_delivered)}</dd></div>
    <div><dt>Callbacks finished</dt><dd>${number(agent.callbacks_finished)}</dd></div>
    <div><dt>Leases lapsed</dt><dd>${number(agent.leases_lapsed)}</dd></div>
    <div><dt>Made</dt><dd><${Moment} at=${created} now=${now} /></dd></div>
    ${archived !== null && html`<div><dt>Archived</dt><dd><${Moment} at=${archived} now=${now} /></dd></div>`}
    <div><dt>Id</dt><dd class="id">${id}</dd></div>
  </dl>`
}
