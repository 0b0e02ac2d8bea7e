import type { Agent } from './agents.ts'

/** What the fields of an agent have in them, as text. */
export interface AgentForm {
  readonly name: string
  readonly description: string
  /** Separated by spaces or commas. */
  readonly labels: string
  readonly maxLeases: string
}

export interface AgentRequest {
  /** With its query. */
  readonly path: string
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly body?: object
}

export const EMPTY_FORM: AgentForm = { name: '', description: '', labels: '', maxLeases: '' }

export function formOf({ name, description, labels, max_leases: maxLeases }: Agent): AgentForm {
  return { name, description, labels: labels.join(' '), maxLeases: String(maxLeases) }
}

/** Writes the members that the form names. What is empty and has a default is left out. The service says best what is wrong with the rest. */
export function membersOf({ name, description, labels, maxLeases }: AgentForm): Readonly<Record<string, unknown>> {
  return {
    name: name.trim(),
    description: description.trim(),
    labels: [...new Set(labels.split(/[\s,]+/).filter(Boolean))],
    ...(maxLeases.trim() !== '' && { max_leases: Number(maxLeases) }),
  }
}

/** Writes the members in which the form differs from what it showed at first, so that another operator's change of the others stays. */
export function changesOf(form: AgentForm, before: AgentForm): Readonly<Record<string, unknown>> {
  const [members, known] = [membersOf(form), membersOf(before)]
  return Object.fromEntries(Object.entries(members).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(known[name])))
}

export function createRequest(form: AgentForm, workspace: string): AgentRequest {
  return { path: `v1/agents${inWorkspace(workspace)}`, method: 'POST', body: membersOf(form) }
}

export function changeRequest({ id, workspace }: Agent, changes: object): AgentRequest {
  return { path: `v1/agents/${id}${inWorkspace(workspace)}`, method: 'PATCH', body: changes }
}

export function archiveRequest({ id, workspace }: Agent): AgentRequest {
  return { path: `v1/agents/${id}${inWorkspace(workspace)}`, method: 'DELETE' }
}

export function restoreRequest({ id, workspace }: Agent): AgentRequest {
  return { path: `v1/agents/${id}/restore${inWorkspace(workspace)}`, method: 'POST' }
}

export function assignRequest({ id, workspace }: Agent, callback: string): AgentRequest {
  return { path: `v1/agents/${id}/callbacks/${callback}${inWorkspace(workspace)}`, method: 'PUT' }
}

export function takeAwayRequest({ id, workspace }: Agent, callback: string): AgentRequest {
  return { path: `v1/agents/${id}/callbacks/${callback}${inWorkspace(workspace)}`, method: 'DELETE' }
}

/** Changes who fetches the objects of a workspace. */
export function fetcherRequest(workspace: string, fetcher: 'service' | 'agents'): AgentRequest {
  return { path: `v1/workspaces/${encodeURIComponent(workspace)}`, method: 'PATCH', body: { fetcher } }
}

/** Says why the service did not do it. */
export function agentRefusalText({
  status,
  code,
  message,
}: {
  readonly status?: number
  readonly code?: string
  readonly message: string
}): string {
  if (status === undefined) return `${message} Nobody knows whether it was done. Look at the agents before you repeat it.`
  return `Nothing was changed. ${message} (${code})`
}

/** Writes the command that starts an agent with its key. @param serviceUrl the port for senders */
export function commandOf(key: string, serviceUrl: string): string {
  return [`ANSWERBACK_URL=${serviceUrl}`, `AGENT_KEY=${key}`, 'CLIENT_SERVICE_URL=http://localhost:9010', 'make agent'].join(' \\\n  ')
}

function inWorkspace(workspace: string): string {
  return `?workspace_id=${encodeURIComponent(workspace)}`
}
