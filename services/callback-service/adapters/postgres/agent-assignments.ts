import { Prisma, type PrismaClient } from '#prisma'
import type { AgentKey, Assignment } from '../../domain/agents/agent-view.ts'
import type { CallbackState } from '../../domain/callback.ts'
import { CHANGEABLE } from '../../domain/steering/change.ts'
import { inDatabase, WAIT_FOR_DISK } from './database.ts'
import { steered } from './steering-sql.ts'

/** Who asked for it, as the timeline says it. */
const BY = 'api'
/** Callbacks of archived agents that one statement sets free. */
const BATCH = 1000

const IS_UNFINISHED = Prisma.sql`state = ANY (${[...CHANGEABLE.label]}::callback_state[])`

/** What a change found, and the state that the callback has after it. */
interface Found {
  readonly is_agent: boolean
  readonly is_archived: boolean | null
  readonly is_for_agents: boolean
  readonly before: CallbackState | null
  readonly state: CallbackState | null
}

/**
 * Assigns callbacks to agents by hand. Each call is one statement, which locks the row of the callback first: a lease, a settlement or another
 * change happens wholly before it or wholly after it. Safe to repeat. Each throws StorageUnavailableError if the outcome is unknown.
 */
export class AgentAssignments {
  readonly #prisma: PrismaClient

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  /**
   * Lets only this agent lease a callback. The lease of another agent ends.
   * @returns the state of the callback after it, if it is assigned
   */
  async assign({ workspace, id }: AgentKey, callback: string): Promise<{ readonly outcome: Assignment; readonly state?: CallbackState }> {
    const [found] = await inDatabase(
      () => this.#prisma.$queryRaw<Found[]>`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}),
        agent AS MATERIALIZED (
          SELECT a.archived_at IS NOT NULL AS is_archived, EXISTS (SELECT FROM workspaces WHERE name = ${workspace} AND fetcher = 'agents') AS is_for_agents
          FROM agents a WHERE a.id = ${id}::uuid AND a.workspace = ${workspace}
        ), found AS MATERIALIZED (
          SELECT id AS found_id, state AS before, (${IS_UNFINISHED}) AS is_unfinished,
            assigned_to IS DISTINCT FROM ${id}::uuid OR state = 'running' AND agent_id IS DISTINCT FROM ${id}::uuid AS is_new
          FROM callbacks WHERE id = ${callback}::uuid AND workspace = ${workspace} AND EXISTS (SELECT FROM agent) FOR UPDATE
        ), changed AS (
          UPDATE callbacks SET assigned_to = ${id}::uuid,
            lease_expires_at = CASE WHEN state = 'running' AND agent_id <> ${id}::uuid THEN leased_at ELSE lease_expires_at END,
            ${steered(entryNamed('assigned', id))}
          FROM found, agent WHERE id = found_id AND is_unfinished AND is_new AND NOT is_archived AND agent.is_for_agents
          RETURNING state
        )
        SELECT EXISTS (SELECT FROM agent) AS is_agent, (SELECT is_archived FROM agent), coalesce((SELECT is_for_agents FROM agent), false) AS is_for_agents,
          (SELECT before FROM found) AS before, coalesce((SELECT state FROM changed), (SELECT before FROM found)) AS state FROM durable`,
    )
    const { is_agent, is_archived, is_for_agents, before, state } = found as Found
    if (!is_agent) return { outcome: 'agent_not_found' }
    if (before === null || state === null) return { outcome: 'callback_not_found' }
    if (is_archived) return { outcome: 'agent_archived' }
    if (!is_for_agents) return { outcome: 'fetcher_is_service' }
    if (!(CHANGEABLE.label as readonly CallbackState[]).includes(before)) return { outcome: 'callback_finished' }
    return { outcome: 'assigned', state }
  }

  /**
   * Takes a callback away from an agent: it is no longer assigned to it, and the lease of this agent ends.
   * @returns the state of the callback after it; undefined if the agent did not have it
   */
  async takeAway({ workspace, id }: AgentKey, callback: string): Promise<CallbackState | undefined> {
    const [changed] = await inDatabase(
      () => this.#prisma.$queryRaw<{ state: CallbackState }[]>`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}),
        found AS MATERIALIZED (
          SELECT id AS found_id, assigned_to = ${id}::uuid IS TRUE AS is_assigned, (state = 'running' AND agent_id = ${id}::uuid) IS TRUE AS is_held
          FROM callbacks WHERE id = ${callback}::uuid AND workspace = ${workspace} FOR UPDATE
        ), changed AS (
          UPDATE callbacks SET assigned_to = CASE WHEN is_assigned THEN NULL ELSE assigned_to END,
            lease_expires_at = CASE WHEN is_held THEN leased_at ELSE lease_expires_at END,
            ${steered(entryNamed('unassigned', id))}
          FROM found WHERE id = found_id AND (is_assigned OR is_held)
          RETURNING state
        )
        SELECT state FROM changed, durable`,
    )
    return changed?.state
  }

  /**
   * Drops the assignments of those of these agents that are archived, at most `BATCH` at a time. It skips rows that others have locked.
   * @returns the workspaces of the callbacks
   */
  async dropArchived(agents: readonly string[]): Promise<string[]> {
    const dropped = await inDatabase(
      () => this.#prisma.$queryRaw<{ workspace: string }[]>`
        WITH dropped AS (
          SELECT c.id AS dropped_id, c.assigned_to AS was FROM callbacks c
          -- The first condition lets Postgres use the index.
          WHERE c.assigned_to IS NOT NULL AND c.assigned_to = ANY (${[...agents]}::uuid[])
            AND EXISTS (SELECT FROM agents a WHERE a.id = c.assigned_to AND a.archived_at IS NOT NULL)
          LIMIT ${BATCH} FOR UPDATE OF c SKIP LOCKED
        )
        UPDATE callbacks SET assigned_to = NULL, ${steered(
          Prisma.sql`jsonb_build_object('event', 'unassigned', 'by', ${BY}::text, 'agent', (SELECT a.name FROM agents a WHERE a.id = was))`,
        )}
        FROM dropped WHERE id = dropped_id RETURNING workspace`,
    )
    return dropped.map(({ workspace }) => workspace)
  }
}

/** What the timeline says of a change, without its time. It names the agent, because people do not know ids. */
function entryNamed(event: string, agent: string): Prisma.Sql {
  return Prisma.sql`jsonb_build_object('event', ${event}::text, 'by', ${BY}::text, 'agent', (SELECT a.name FROM agents a WHERE a.id = ${agent}::uuid))`
}
