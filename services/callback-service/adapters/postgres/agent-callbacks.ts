import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import type { AgentCallback, AgentKey } from '../../domain/agents/agent-view.ts'
import type { CallbackState } from '../../domain/callback.ts'
import { callbacksOf } from './agent-row.ts'
import { inDatabase } from './database.ts'

interface Row {
  readonly id: string
  readonly state: CallbackState
  readonly leased_at: string | null
  readonly lease_expires_at: string | null
  readonly is_assigned: boolean
  readonly objects: number
  readonly delivered: number
}

/**
 * Reads a page of the callbacks that an agent holds or that are assigned to it, in the order of their ids.
 * @returns undefined if there is no such agent
 * @throws {StorageUnavailableError}
 */
export async function listAgentCallbacks(
  prisma: PrismaClient,
  { workspace, id }: AgentKey,
  { limit, position }: PageRequest<string>,
): Promise<AgentCallback[] | undefined> {
  const isBackward = position?.direction === 'before'
  const place = position ? Prisma.sql`WHERE id ${Prisma.raw(isBackward ? '<' : '>')} ${position.key}::uuid` : Prisma.empty
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ page: string }[]>`
      SELECT (SELECT coalesce(json_agg(json_build_object('id', c.id, 'state', c.state, 'leased_at', held.leased_at,
          'lease_expires_at', held.lease_expires_at, 'is_assigned', c.assigned_to IS NOT DISTINCT FROM a.id,
          'objects', cardinality(c.object_ids), 'delivered', coalesce(cardinality(held.delivered), 0)) ORDER BY c.id), '[]')
        FROM (
          SELECT id FROM (${callbacksOf(Prisma.sql`a.id`)}) AS listed ${place} ORDER BY id ${Prisma.raw(isBackward ? 'DESC' : 'ASC')} LIMIT ${limit}
        ) AS listed JOIN callbacks c ON c.id = listed.id
        LEFT JOIN LATERAL (SELECT c.leased_at, c.lease_expires_at, c.delivered WHERE c.state = 'running' AND c.agent_id = a.id) AS held ON true
      )::text AS page
      FROM agents a WHERE a.id = ${id}::uuid AND a.workspace = ${workspace}`,
  )
  return row && (JSON.parse(row.page) as Row[]).map(callbackOf)
}

function callbackOf({ leased_at, lease_expires_at, is_assigned, ...row }: Row): AgentCallback {
  return { ...row, leasedAt: dateOf(leased_at), leaseExpiresAt: dateOf(lease_expires_at), isAssigned: is_assigned }
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text)
}
