import { Prisma } from '#prisma'
import { ALIVE_MS } from '../../domain/agents/agent.ts'
import { type AgentView, MAX_COUNTED } from '../../domain/agents/agent-view.ts'

/** A row of `agents` as JSON, with what is counted and measured when it is read. */
export interface AgentRow {
  readonly id: string
  readonly workspace: string
  readonly name: string
  readonly description: string
  readonly labels: readonly string[]
  readonly max_leases: number
  readonly version: string
  readonly objects: number
  readonly callbacks: number
  readonly lapses: number
  readonly last_seen_at: string | null
  readonly created_at: string
  readonly archived_at: string | null
  readonly seen_ago_ms: number | null
  readonly holds: number
}

/** The condition that a callback `c` is one that the agent holds or that is assigned to it, each with an index of its own. */
export function callbacksOf(agent: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`SELECT c.id FROM callbacks c WHERE c.state = 'running' AND c.agent_id = ${agent}
    UNION SELECT c.id FROM callbacks c WHERE c.assigned_to = ${agent} AND c.state IN ('pending', 'running', 'paused')`
}

/** A row of `agents`, called `a`, as JSON. */
export const SHOWN_AGENT = Prisma.sql`(to_jsonb(a) || jsonb_build_object(
  'seen_ago_ms', extract(epoch FROM clock_timestamp() - a.last_seen_at)::float8 * 1000,
  'holds', (SELECT count(*) FROM (${callbacksOf(Prisma.sql`a.id`)} LIMIT ${MAX_COUNTED}) AS held)))`

/** A sighting in the future is one before a step of the clock: it says nothing. */
export function agentOf(row: AgentRow): AgentView {
  const { id, workspace, name, description, labels, version } = row
  return {
    ...{ id, workspace, name, description, labels, version },
    maxLeases: row.max_leases,
    isAlive: row.seen_ago_ms !== null && row.seen_ago_ms >= 0 && row.seen_ago_ms < ALIVE_MS,
    lastSeenAt: dateOf(row.last_seen_at),
    callbacks: row.holds,
    objectsDelivered: row.objects,
    callbacksFinished: row.callbacks,
    leasesLapsed: row.lapses,
    createdAt: new Date(row.created_at),
    archivedAt: dateOf(row.archived_at),
  }
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text)
}
