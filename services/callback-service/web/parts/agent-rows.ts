import { html } from 'htm/preact'
import { useMemo } from 'preact/hooks'
import type { AgentRates } from '../agent-rates.ts'
import { type Agent, type AgentState, lastSeenText, stateOf } from '../agents.ts'
import { number } from '../format.ts'
import { hrefOf } from '../router.ts'

const SYMBOLS: Readonly<Record<AgentState, string>> = { working: '▶', waiting: '○', new: '–', silent: '▲', archived: '⊘' }
const HINTS: Readonly<Record<AgentState, string>> = {
  working: 'It is alive and has callbacks.',
  waiting: 'It is alive and has no callbacks.',
  new: 'It has never asked for callbacks.',
  silent: 'It has not asked for 90 seconds.',
  archived: 'It gets no callbacks.',
}

/** Labels in a row. A thousand rows with all of theirs would be too long to look through. */
const MAX_LABELS = 4

/** A state as symbol and text, so that nobody has to know its colour. */
export function AgentMark({ agent }: { agent: Agent }) {
  const state = stateOf(agent)
  return html`<span class="agent-state ${state}" title=${HINTS[state]}><span aria-hidden="true">${SYMBOLS[state]} </span>${state}</span>`
}

interface AgentRows {
  readonly agents: readonly Agent[]
  readonly workspace: string
  readonly rates: AgentRates
  /** The service's time of now. */
  readonly now: number
}

/** The table of agents. */
export function AgentRows({ agents, workspace, rates, now }: AgentRows) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of agents">
    <table class="agents">
      <caption class="hidden">Agents of the workspace ${workspace}</caption>
      <thead>
        <tr>
          <th scope="col">Agent</th>
          <th scope="col">State</th>
          <th scope="col">Last seen</th>
          <th scope="col">Labels</th>
          <th scope="col">Version</th>
          <th scope="col" class="number" title="Callbacks that it holds or that are assigned to it, and how many it may hold.">Callbacks</th>
          <th scope="col" class="number" title="Objects that it delivered a second, over the last 30 seconds.">Objects a second</th>
          <th scope="col" class="number" title="Callbacks that it finished since it was made.">Finished</th>
          <th scope="col" class="number" title="Leases that ended without it since it was made.">Lapsed</th>
        </tr>
      </thead>
      <tbody>${agents.map(agent => html`<${Row} key=${agent.id} agent=${agent} rate=${rates.of(agent.id)} now=${now} />`)}</tbody>
    </table>
  </div>`
}

function Row({ agent, rate, now }: { agent: Agent; rate: number | undefined; now: number }) {
  const { id, workspace, name, description, labels, version, callbacks, max_leases: max } = agent
  const href = hrefOf('agents', id, { workspace })
  const seen = lastSeenText(agent, now)
  // Of a thousand rows, most stay as they are. Those are not compared with the document again.
  return useMemo(
    () => html`<tr class=${stateOf(agent)}>
    <th scope="row"><a href=${href}>${name}</a>${description && html`<div class="quiet description" title=${description}>${description}</div>`}</th>
    <td><${AgentMark} agent=${agent} /></td>
    <td class="nowrap" title=${agent.last_seen_at ?? undefined}>${seen}</td>
    <td><${Labels} labels=${labels} max=${MAX_LABELS} /></td>
    <td><div class="version" title=${version}>${version || html`<span class="quiet">unknown</span>`}</div></td>
    <td class="number"><a href=${href}>${number(callbacks.size)}</a> <span class="quiet">of ${number(max)}</span></td>
    <td class="number rate">${rateText(rate)}</td>
    <td class="number">${number(agent.callbacks_finished)}</td>
    <td class="number">${number(agent.leases_lapsed)}</td>
  </tr>`,
    [JSON.stringify(agent), seen, rate],
  )
}

/** @param props.max labels to show (default: all). The title has all of them */
export function Labels({ labels, max = labels.length }: { labels: readonly string[]; max?: number }) {
  if (labels.length === 0) return html`<span class="quiet">none</span>`
  return html`<span class="labels" title=${labels.join(' ')}>
    ${labels.slice(0, max).map(label => html`<span class="label">${label}</span> `)}
    ${labels.length > max && html`<span class="quiet">and ${labels.length - max} more</span>`}
  </span>`
}

export function rateText(rate: number | undefined): string {
  return rate === undefined ? '…' : number(rate)
}
