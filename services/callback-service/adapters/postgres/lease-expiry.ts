import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackState } from '../../domain/callback.ts'
import { inDatabase } from './database.ts'
import { endedLease, IS_LIVE_LEASE } from './lease-ending.ts'

interface EndedRow {
  readonly id: string
  readonly workspace: string
  readonly agent: string
  readonly attempt: number
  readonly state: CallbackState
  readonly has_lapsed: boolean
  readonly objects: number
  readonly waited_ms: number
  readonly worked_ms: number
}

/**
 * Ends leases whose time has passed, and those whose callback somebody wants paused or cancelled: an agent that renews its lease may never
 * finish. It ends those that somebody took away too: `lease_expires_at` is `leased_at`. It skips rows that another statement has locked. Safe to repeat.
 * @throws {StorageUnavailableError} the outcome is unknown
 */
export async function endLeases(prisma: PrismaClient, limit: number) {
  const rows = await inDatabase(
    () => prisma.$queryRaw<EndedRow[]>`
      WITH over AS MATERIALIZED (
        SELECT id AS over_id, agent_id AS agent, attempts - crashes AS attempt, wish IS NULL AND lease_expires_at > leased_at AS has_lapsed,
          CASE WHEN unstored IS NULL THEN cardinality(object_ids) ELSE jsonb_array_length(jsonb_path_query_array(unstored, '$[*] ? (@.outcome == "pending")')) END AS objects,
          extract(epoch FROM leased_at - coalesce(retried_at, received_at))::float8 * 1000 AS waited_ms,
          extract(epoch FROM clock_timestamp() - leased_at)::float8 * 1000 AS worked_ms
        FROM callbacks WHERE state = 'running' AND agent_id IS NOT NULL AND (wish IS NOT NULL OR (${IS_LIVE_LEASE}) IS NOT TRUE)
        LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), ended AS (
        UPDATE callbacks SET ${endedLease(Prisma.sql`CASE WHEN wish IS NOT NULL THEN 'recalled' WHEN lease_expires_at > leased_at THEN 'lapsed' ELSE 'taken_away' END`)}
        FROM over WHERE id = over_id
        RETURNING id, workspace, state, over.*
      )
      SELECT id, workspace, state, agent, attempt, has_lapsed, objects, waited_ms, worked_ms FROM ended`,
  )
  return rows.map(({ id, agent, has_lapsed, waited_ms, worked_ms, ...row }) => ({
    ...row,
    callbackId: id,
    agentId: agent,
    hasLapsed: has_lapsed,
    waitedMs: Math.max(0, waited_ms),
    workedMs: Math.max(0, worked_ms),
  }))
}

/**
 * Lets live leases lapse now, because their agents are told that they have lost them. It skips rows that another statement has locked: their leases
 * lapse a little later. Safe to repeat.
 * @throws {StorageUnavailableError} the outcome is unknown
 */
export async function lapseNow(
  prisma: PrismaClient,
  leases: readonly { readonly id: string; readonly claim_token: string }[],
): Promise<void> {
  await inDatabase(
    () => prisma.$executeRaw`
      UPDATE callbacks SET lease_expires_at = clock_timestamp() WHERE id = ANY (ARRAY(
        SELECT id FROM callbacks WHERE id = ANY (${leases.map(({ id }) => id)}::uuid[]) AND claim_token = ANY (${leases.map(lease => lease.claim_token)}::uuid[])
          AND ${IS_LIVE_LEASE} FOR UPDATE SKIP LOCKED))`,
  )
}
