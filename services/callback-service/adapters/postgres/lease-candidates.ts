import { Prisma, type PrismaClient } from '#prisma'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import type { Candidate, CandidatePosition } from '../../domain/leasing/matching.ts'
import { inDatabase } from './database.ts'

/** Callbacks that a look considers, the most urgent first. What suits nobody must not cost more than this. */
export const LOOK = 1000

export interface CandidateQuery {
  readonly workspace: string
  /** Agents that wait, each once. */
  readonly agents: readonly Pick<KnownAgent, 'id' | 'labels' | 'maxLeases'>[]
  /** Maximum number of candidates. */
  readonly limit: number
  /** It looks only at callbacks after this. Undefined: at all, and at those that are assigned to an agent. */
  readonly from: CandidatePosition | undefined
}

export interface FoundCandidates {
  /** The most urgent first. */
  readonly candidates: readonly Candidate[]
  /** Number of leases that agents hold, if they hold any. */
  readonly held: ReadonlyMap<string, number>
  /** The last callback that was considered, if there are more after it. */
  readonly next: CandidatePosition | undefined
}

interface FoundRow {
  readonly held: Readonly<Record<string, number>> | null
  readonly found: readonly (Candidate & { readonly position: CandidatePosition })[] | null
}

const FACTS = Prisma.sql`id, priority, due_at, agent_labels, assigned_to, object_ids, unstored`

/**
 * Finds callbacks of one workspace that are due and suit one of the agents, and locks none. Agents that hold as many as they may are left out.
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findCandidates(prisma: PrismaClient, query: CandidateQuery): Promise<FoundCandidates> {
  const { workspace, agents, limit, from } = query
  const ids = agents.map(({ id }) => id)
  const labels = agents.map(agent => JSON.stringify(agent.labels.toSorted()))
  // Those that are assigned to somebody have an index of their own. Without statistics, Postgres would rather scan the backlog by `callbacks_due`.
  // That index needs the state as it is, not as text.
  const assigned = Prisma.sql`UNION ALL
          (SELECT own.* FROM free CROSS JOIN LATERAL (
            SELECT ${FACTS} FROM callbacks WHERE assigned_to = free.id AND state::text = 'pending' AND due_at <= now() LIMIT ${LOOK}
          ) AS own)`
  const [row] = await inDatabase(
    () => prisma.$queryRaw<FoundRow[]>`
      WITH held AS MATERIALIZED (
        SELECT agent_id, count(*)::int AS leases FROM callbacks WHERE state = 'running' AND agent_id = ANY (${ids}::uuid[]) GROUP BY 1
      ), free AS MATERIALIZED (
        SELECT a.id, a.labels::jsonb AS labels
        FROM unnest(${ids}::uuid[], ${labels}::text[], ${agents.map(({ maxLeases }) => maxLeases)}::int[]) AS a(id, labels, max_leases)
        LEFT JOIN held h ON h.agent_id = a.id WHERE coalesce(h.leases, 0) < a.max_leases
      ), kinds AS MATERIALIZED (SELECT DISTINCT labels FROM free),
      place AS MATERIALIZED (
        SELECT coalesce(w.agent_labels, '{}') AS labels, EXISTS (SELECT FROM kinds k WHERE to_jsonb(coalesce(w.agent_labels, '{}')) <@ k.labels) AS is_suited
        FROM workspaces w WHERE w.name = ${workspace} AND w.fetcher = 'agents' AND NOT w.paused AND EXISTS (SELECT FROM free)
      ), found AS (
        SELECT c.*, place.labels FROM place CROSS JOIN LATERAL (
          (SELECT ${FACTS} FROM (${windowOf(query)}) AS looked
            WHERE assigned_to IS NULL AND CASE WHEN agent_labels IS NULL THEN place.is_suited
              ELSE EXISTS (SELECT FROM kinds k WHERE to_jsonb(looked.agent_labels) <@ k.labels) END
            LIMIT ${limit})
          ${from === undefined ? assigned : Prisma.empty}
        ) AS c ORDER BY c.priority DESC, c.due_at, c.id LIMIT ${limit}
      )
      SELECT (SELECT json_object_agg(agent_id, leases) FROM held) AS held,
        (SELECT json_agg(json_build_object('id', id, 'labels', coalesce(agent_labels, labels), 'assignedTo', assigned_to, 'objects',
          CASE WHEN unstored IS NULL THEN cardinality(object_ids) ELSE jsonb_array_length(jsonb_path_query_array(unstored, '$[*] ? (@.outcome == "pending")')) END,
          'position', json_build_object('priority', priority, 'dueAt', due_at::text, 'id', id)
        ) ORDER BY priority DESC, due_at, id) FROM found) AS found`,
  )
  const candidates = row?.found ?? []
  const next = candidates.length === limit ? candidates.at(-1)?.position : await endOf(prisma, query)
  return { candidates, held: new Map(Object.entries(row?.held ?? {})), next }
}

/** Finds the last callback of the window, if the window is full. */
async function endOf(prisma: PrismaClient, query: CandidateQuery): Promise<CandidatePosition | undefined> {
  const [end] = await inDatabase(
    () => prisma.$queryRaw<CandidatePosition[]>`
      SELECT priority::int, due_at::text AS "dueAt", id::text FROM (${windowOf(query)}) AS looked ORDER BY priority DESC, due_at, id OFFSET ${LOOK - 1} LIMIT 1`,
  )
  return end
}

/** The callbacks that a look considers, in order. Each part of it uses the index `callbacks_due`. */
function windowOf({ workspace, from }: CandidateQuery): Prisma.Sql {
  const all = Prisma.sql`SELECT ${FACTS} FROM callbacks WHERE ${dueIn(workspace)}`
  if (from === undefined) return Prisma.sql`${all} ORDER BY priority DESC, due_at, id LIMIT ${LOOK}`
  const { priority, dueAt, id } = from
  return Prisma.sql`SELECT * FROM (
      (${all} AND priority = ${priority}::smallint AND due_at >= ${dueAt}::timestamptz AND (due_at, id) > (${dueAt}::timestamptz, ${id}::uuid)
        ORDER BY priority DESC, due_at, id LIMIT ${LOOK})
      UNION ALL
      (${all} AND priority < ${priority}::smallint ORDER BY priority DESC, due_at, id LIMIT ${LOOK})
    ) AS further ORDER BY priority DESC, due_at, id LIMIT ${LOOK}`
}

function dueIn(workspace: string): Prisma.Sql {
  return Prisma.sql`state = 'pending' AND workspace = ${workspace} AND due_at <= now()`
}
