/**
 * A label of an agent, or one that an agent needs for a callback. An agent suits a callback if it has all labels that the callback names.
 */
export const AGENT_LABEL = /^[A-Za-z0-9][A-Za-z0-9_.:=/-]{0,62}$/

/** A UUID. The service writes them in lower case. */
export const AGENT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const MAX_LABELS = 16
export const MAX_LEASES = 1000
/** Maximum number of agents of a workspace, archived ones included. */
export const MAX_AGENTS = 1000
/** Maximum number of agents of all workspaces, because every replica has them in memory. */
export const MAX_ALL_AGENTS = 10_000
/** Maximum number of keys of one agent: two while its key is changed, and one that was forgotten. */
export const MAX_AGENT_KEYS = 3
/** An agent is alive if it was seen within this time. */
export const ALIVE_MS = 90_000

/** An agent as every replica has it in memory. */
export interface KnownAgent {
  /** UUID */
  readonly id: string
  readonly workspace: string
  readonly name: string
  readonly labels: readonly string[]
  /** Callbacks that it may hold at a time. */
  readonly maxLeases: number
  /** An archived agent gets no new lease. What it holds may be finished. */
  readonly isArchived: boolean
}

/** What happened with an agent, as this replica saw it. */
export interface AgentActivity {
  /** It sent a request. @param version what it says of itself */
  seen(agentId: string, version?: string): void
  /** It delivered objects that are stored now. */
  delivered(agentId: string, objects: number): void
  /** It finished a callback. */
  finished(agentId: string): void
  /** A lease ended without it. */
  lapsed(agentId: string): void
}
