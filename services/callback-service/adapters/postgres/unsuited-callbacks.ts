import type { PrismaClient } from '#prisma'
import { UNTAKEN_MS, type Unsuited } from '../../domain/activity/agent-shortage.ts'
import { ALIVE_MS } from '../../domain/agents/agent.ts'
import { inDatabase } from './database.ts'

/** Callbacks that a look considers, of all workspaces together. Each workspace has an equal part, and its callbacks come in their turn. */
const LOOK = 20_000
/** Different needs that a look compares with the agents: labels and assignments, those that wait longest. There may be one for each callback. */
const MAX_NEEDS = 200

/**
 * Finds callbacks that have been due for a minute, and that no living agent suits: each agent lacks a label, or another is assigned. Agents that
 * are busy count. Callbacks of a paused workspace wait for no agent.
 * @returns one entry for each workspace that has any, and how long the database worked on it
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findUnsuited(prisma: PrismaClient): Promise<{ readonly unsuited: readonly Unsuited[]; readonly tookMs: number }> {
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ unsuited: readonly Unsuited[]; tookMs: number }[]>`
      WITH living AS MATERIALIZED (
        SELECT id, workspace, labels FROM agents
        WHERE archived_at IS NULL AND last_seen_at BETWEEN now() - make_interval(secs => ${ALIVE_MS / 1000}::float8) AND now()
      ), kinds AS MATERIALIZED (SELECT DISTINCT workspace, labels FROM living),
      places AS MATERIALIZED (
        SELECT name, coalesce(agent_labels, '{}') AS labels FROM workspaces WHERE fetcher = 'agents' AND NOT paused
      ), needs AS MATERIALIZED (
        SELECT place.name AS workspace, coalesce(waiting.agent_labels, place.labels) AS labels, waiting.assigned_to,
          count(*) AS callbacks, min(waiting.due_at) AS due_at
        FROM places place CROSS JOIN LATERAL (
          SELECT due_at, agent_labels, assigned_to FROM callbacks
          WHERE state = 'pending' AND workspace = place.name AND due_at < now() - make_interval(secs => ${UNTAKEN_MS / 1000}::float8)
          ORDER BY priority DESC, due_at LIMIT (SELECT ceil(${LOOK}::float8 / greatest(count(*), 1)) FROM places)
        ) AS waiting
        GROUP BY 1, 2, 3 ORDER BY due_at LIMIT ${MAX_NEEDS}
      ), unsuited AS (
        SELECT * FROM needs WHERE CASE WHEN assigned_to IS NULL
          THEN NOT EXISTS (SELECT FROM kinds WHERE kinds.workspace = needs.workspace AND needs.labels <@ kinds.labels)
          ELSE NOT EXISTS (SELECT FROM living WHERE living.id = needs.assigned_to) END
      ), oldest AS (
        SELECT DISTINCT ON (workspace) *, sum(callbacks) OVER (PARTITION BY workspace) AS waiting FROM unsuited ORDER BY workspace, due_at
      ), found AS (
        SELECT workspace, waiting, extract(epoch FROM now() - due_at) * 1000 AS ms, (
          SELECT id FROM callbacks c
          WHERE state = 'pending' AND workspace = oldest.workspace AND due_at = oldest.due_at AND assigned_to IS NOT DISTINCT FROM oldest.assigned_to
            AND (agent_labels IS NULL OR agent_labels = oldest.labels)
          ORDER BY workspace, priority DESC, due_at LIMIT 1
        ) AS callback FROM oldest
      )
      SELECT coalesce((SELECT json_agg(json_build_object('workspace', workspace, 'waiting', waiting, 'callback', callback, 'ms', ms)) FROM found), '[]')
        AS unsuited, extract(epoch FROM clock_timestamp() - now())::float8 * 1000 AS "tookMs"`,
  )
  return row ?? { unsuited: [], tookMs: 0 }
}
