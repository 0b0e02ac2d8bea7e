import { age, duration } from './format.ts'

/** A program that leases callbacks and fetches their objects: see docs/http-api.md. */
export interface Agent {
  readonly id: string
  readonly href: string
  readonly workspace: string
  readonly name: string
  readonly description: string
  readonly labels: readonly string[]
  readonly max_leases: number
  /** What it says of itself. Empty: nothing so far. */
  readonly version: string
  readonly alive: boolean
  readonly last_seen_at: string | null
  /** What it holds, and what is assigned to it. */
  readonly callbacks: { readonly href: string; readonly size: number }
  /** Counted since it was created. */
  readonly objects_delivered: number
  readonly callbacks_finished: number
  readonly leases_lapsed: number
  readonly created_at: string
  readonly archived_at: string | null
}

/** A page of `GET /v1/agents`. */
export interface AgentPage {
  readonly items: readonly Agent[]
  /** Path of the page after it, with its query. */
  readonly next?: string
}

/** A callback that an agent holds, or that is assigned to it. */
export interface AgentCallback {
  readonly id: string
  readonly state: string
  readonly leased_at: string | null
  readonly lease_expires_at: string | null
  readonly assigned: boolean
  /** Number of objects. */
  readonly objects: number
  /** Objects that came with the present lease. */
  readonly delivered: number
}

/** A page of `GET /v1/agents/:id/callbacks`. */
export interface AgentCallbackPage {
  readonly items: readonly AgentCallback[]
  readonly next?: string
}

/** How an agent is, in a word. `new`: it has never asked for work. */
export type AgentState = 'working' | 'waiting' | 'new' | 'silent' | 'archived'

export function stateOf({ archived_at: archivedAt, alive, last_seen_at: seenAt, callbacks }: Agent): AgentState {
  if (archivedAt !== null) return 'archived'
  if (alive) return callbacks.size > 0 ? 'working' : 'waiting'
  return seenAt === null ? 'new' : 'silent'
}

/** Says in words how many agents are in each state: `2 working, 1 silent`. */
export function statesText(agents: readonly Agent[]): string {
  const states = agents.map(stateOf)
  return ORDER.map(state => [states.filter(other => other === state).length, state] as const)
    .filter(([count]) => count > 0)
    .map(([count, state]) => `${count} ${state}`)
    .join(', ')
}

const ORDER: readonly AgentState[] = ['working', 'waiting', 'silent', 'new', 'archived']

/** Says when an agent was last seen. @param now the service's time of now, epoch milliseconds */
export function lastSeenText({ last_seen_at: at }: Agent, now: number): string {
  return at === null ? 'never' : `${age(now - Date.parse(at))} ago`
}

/** Says how long an agent has held a callback, and how long it may. @param now the service's time of now, epoch milliseconds */
export function leaseText({ leased_at: from, lease_expires_at: until }: AgentCallback, now: number): string {
  if (from === null || until === null) return 'not leased'
  const leftMs = Date.parse(until) - now
  const left = leftMs > 0 ? `ends in ${age(leftMs)} unless renewed` : `ended ${duration(-leftMs)} ago`
  return `${age(now - Date.parse(from))}, ${left}`
}
