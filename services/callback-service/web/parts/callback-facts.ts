import { html } from 'htm/preact'
import type { Callback } from '../callbacks.ts'
import { timeOfDay } from '../format.ts'
import { hrefOf } from '../router.ts'
import { session, traceUrl } from '../session.ts'
import { useStore } from '../store.ts'
import { Labels } from './agent-rows.ts'
import { Moment, StateMark, spanText } from './callback-marks.ts'

/** What a callback is, without its objects. */
export function CallbackFacts({ callback, now }: { callback: Callback; now: number }) {
  const {
    workspace,
    attempts,
    priority,
    object_count,
    received_at,
    finished_at,
    due_at,
    request_id,
    trace_id,
    agent_labels: labels,
    assigned_to: agent,
  } = callback
  // The link appears when the session has come.
  useStore(session)
  const trace = traceUrl(trace_id)
  return html`<dl class="facts">
    <div><dt>State</dt><dd><${StateMark} callback=${callback} />, ${finished_at && 'after '}${spanText(callback, now)}</dd></div>
    <div><dt>Workspace</dt><dd>${workspace}</dd></div>
    <div><dt>Received</dt><dd><${Moment} at=${received_at} now=${now} /></dd></div>
    ${finished_at && html`<div><dt>Finished</dt><dd><${Moment} at=${finished_at} now=${now} /></dd></div>`}
    ${due_at && Date.parse(due_at) > now && html`<div><dt>Next attempt</dt><dd>not before ${timeOfDay(due_at)}</dd></div>`}
    <div><dt>Attempts</dt><dd>${attempts}</dd></div>
    <div><dt>Objects</dt><dd>${object_count}</dd></div>
    <div><dt>Priority</dt><dd>${priority}</dd></div>
    ${labels && html`<div><dt>Labels for agents</dt><dd><${Labels} labels=${labels} /></dd></div>`}
    ${agent && html`<div><dt>Assigned to</dt><dd><a class="id" href=${hrefOf('agents', agent, { workspace })}>${agent}</a></dd></div>`}
    ${request_id !== undefined && html`<div><dt>Request id</dt><dd class="id">${request_id}</dd></div>`}
    ${trace_id && html`<div><dt>Trace</dt><dd>${trace ? html`<a class="id" href=${trace} target="_blank" rel="noreferrer">${trace_id}</a>` : html`<span class="id">${trace_id}</span>`}</dd></div>`}
  </dl>`
}
