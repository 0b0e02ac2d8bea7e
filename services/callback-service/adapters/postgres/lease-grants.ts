import { v7 as uuidv7 } from 'uuid'
import { Prisma, type PrismaClient } from '#prisma'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import type { Lease } from '../../domain/leasing/lease.ts'
import { inDatabase } from './database.ts'
import { AGENT_NAME, LEASED_AT_MS, STATE_BY_WISH, WITHOUT_CLAIM } from './lease-ending.ts'
import { LEASE_COLUMNS, type LeaseRow, leaseOf } from './lease-row.ts'
import { withEntry } from './steering-sql.ts'

/** A callback and the agent that is to get it. */
export interface WantedLease {
  readonly token: string
  readonly callbackId: string
  readonly agent: Pick<KnownAgent, 'id' | 'labels'>
}

/** Makes the token of a new lease. */
export function newLeaseToken(): string {
  return uuidv7()
}

/**
 * Leases callbacks to agents, in one statement. It decides for itself whether each callback may still be leased to its agent: another replica may
 * have been faster, somebody may have paused it or assigned it, and the agent may be archived. It skips rows that another statement has locked.
 * @returns the leases that were given
 * @throws {StorageUnavailableError} the leases may have been given all the same; they lapse, or `returnLeases` ends them
 */
export async function grantLeases(
  prisma: PrismaClient,
  wanted: readonly WantedLease[],
  { leaseSeconds }: { readonly leaseSeconds: number },
): Promise<Lease[]> {
  const list = JSON.stringify(
    wanted.map(({ token, callbackId, agent }) => ({ token, id: callbackId, agent: agent.id, labels: agent.labels })),
  )
  const rows = await inDatabase(
    () => prisma.$queryRaw<LeaseRow[]>`
      WITH free AS MATERIALIZED (
        SELECT c.id AS free_id, g.token, g.agent
        FROM json_to_recordset(${list}::json) AS g(id uuid, token uuid, agent uuid, labels jsonb)
        JOIN callbacks c ON c.id = g.id
        JOIN workspaces w ON w.name = c.workspace AND w.fetcher = 'agents' AND NOT w.paused
        JOIN agents a ON a.id = g.agent AND a.workspace = c.workspace AND a.archived_at IS NULL
        WHERE c.state = 'pending' AND c.due_at <= now()
          AND CASE WHEN c.assigned_to IS NULL THEN to_jsonb(coalesce(c.agent_labels, w.agent_labels, '{}')) <@ g.labels ELSE c.assigned_to = g.agent END
        FOR UPDATE OF c SKIP LOCKED
      ), leased AS (
        UPDATE callbacks SET state = 'running', claim_token = token, claimed_by = NULL, agent_id = agent, delivered = NULL, attempts = attempts + 1,
          leased_at = now(), lease_expires_at = now() + make_interval(secs => ${leaseSeconds}::float8)
        FROM free WHERE id = free_id RETURNING callbacks.*
      )
      SELECT ${LEASE_COLUMNS} FROM leased c`,
  )
  return rows.map(leaseOf)
}

/**
 * Ends leases that no agent has learned of, as if they had never been given. Safe to repeat.
 * @throws {StorageUnavailableError} the outcome is unknown; the leases lapse in any case
 */
export async function returnLeases(
  prisma: PrismaClient,
  leases: readonly { readonly token: string; readonly callbackId: string }[],
): Promise<void> {
  if (leases.length === 0) return
  await inDatabase(
    () => prisma.$executeRaw`
      UPDATE callbacks SET state = ${STATE_BY_WISH}, attempts = attempts - 1, due_at = clock_timestamp(),
        finished_at = CASE wish WHEN 'cancel' THEN clock_timestamp() END,
        steered_at = CASE wish WHEN 'pause' THEN clock_timestamp() ELSE steered_at END,
        timeline = ${withEntry(Prisma.sql`jsonb_build_object('event', 'given_back', 'agent', ${AGENT_NAME}, 'claimed_at', ${LEASED_AT_MS},
          'attempt', attempts - crashes, 'state', ${STATE_BY_WISH})`)},
        wish = NULL, ${WITHOUT_CLAIM}
      WHERE id = ANY (ARRAY(SELECT id FROM callbacks WHERE id = ANY (${leases.map(({ callbackId }) => callbackId)}::uuid[])
        AND state = 'running' AND agent_id IS NOT NULL AND claim_token = ANY (${leases.map(({ token }) => token)}::uuid[]) FOR UPDATE SKIP LOCKED))`,
  )
}
