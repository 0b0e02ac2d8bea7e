import { Prisma, type PrismaClient } from '#prisma'
import type { HeldLease, LeaseKey } from '../../domain/leasing/held-lease.ts'
import { type ClaimedRow, claimedCallback, parseIds } from './claimed-row.ts'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'
import { AGENT_NAME, IS_LIVE_LEASE } from './lease-ending.ts'
import { lapseNow } from './lease-expiry.ts'
import { LEASE_COLUMNS, type LeaseRow, leaseOf } from './lease-row.ts'

/** A request for a lease, and the time for which it is renewed. */
export interface LeaseRequest {
  readonly key: LeaseKey
  /** Undefined: it is only read. */
  readonly renewSeconds?: number
}

const HELD_COLUMNS = Prisma.sql`${LEASE_COLUMNS}, coalesce(${AGENT_NAME}, '') AS agent_name,
  extract(epoch FROM c.leased_at)::float8 * 1000 AS leased_ms, extract(epoch FROM coalesce(c.retried_at, c.received_at))::float8 * 1000 AS received_ms,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms`

type HeldRow = LeaseRow & ClaimedRow & { readonly agent_name: string; readonly leased_ms: number }

/**
 * Reads live leases, in one statement for all requests that come together. A lease that is renewed ends so many seconds later, or when it would have
 * ended anyway.
 * @returns the lease of each request; undefined if the token is not that of a live lease of this agent and workspace
 * @throws {StorageUnavailableError} trying again may help
 */
export async function readLeases(
  prisma: PrismaClient,
  clock: DatabaseClock,
  requests: readonly LeaseRequest[],
): Promise<(HeldLease | undefined)[]> {
  const sentMs = performance.now()
  const rows = await inDatabase(() => prisma.$queryRaw<HeldRow[]>`${statementFor(requests)}`)
  const now = rows[0]?.now_ms
  if (now !== undefined) clock.observe(now, sentMs)
  // Each lease is made once: a thousand requests for one that asks for a thousand objects may come together.
  const byToken = new Map(rows.map(row => [row.claim_token, { row, held: heldLease(row, sentMs, clock) }]))
  // Otherwise the callback would wait until a lease ends that nobody uses any more, and that this request may have renewed.
  const lost = rows.filter(row => byToken.get(row.claim_token)?.held === undefined)
  if (lost.length > 0) await lapseNow(prisma, lost)
  return requests.map(({ key }) => {
    const found = byToken.get(key.token)
    return found && isOf(found.row, key) ? found.held : undefined
  })
}

function statementFor(requests: readonly LeaseRequest[]): Prisma.Sql {
  const tokens = [...new Set(requests.map(({ key }) => key.token))].toSorted()
  const agents = requests.map(({ key }) => key.agentId)
  // With the agents, the index finds the leases at once. Without, it is read as a whole.
  const isAgents = agents.includes(undefined) ? Prisma.sql`TRUE` : Prisma.sql`agent_id = ANY (${[...new Set(agents)]}::uuid[])`
  const isWanted = Prisma.sql`${IS_LIVE_LEASE} AND ${isAgents} AND claim_token = ANY (${tokens}::uuid[])`
  const renewals = requests.filter(({ renewSeconds }) => renewSeconds !== undefined)
  if (renewals.length === 0) return Prisma.sql`SELECT ${HELD_COLUMNS} FROM callbacks c WHERE ${isWanted}`
  const seconds = new Map<string, { agent: string | undefined; workspace: string; seconds: number }>()
  for (const { key, renewSeconds = 0 } of renewals) {
    // Requests for one token come from its agent, or from somebody who guesses. Only the former may renew it.
    const place = `${key.token} ${key.agentId ?? ''} ${key.workspace}`
    const most = Math.max(renewSeconds, seconds.get(place)?.seconds ?? 0)
    seconds.set(place, { agent: key.agentId, workspace: key.workspace, seconds: most })
  }
  const list = JSON.stringify([...seconds].map(([place, each]) => ({ token: place.split(' ')[0], ...each })))
  return Prisma.sql`
    WITH held AS MATERIALIZED (
      SELECT id AS held_id, (
        SELECT max(r.seconds) FROM json_to_recordset(${list}::json) AS r(token uuid, agent uuid, workspace text, seconds float8)
        WHERE r.token = claim_token AND r.workspace = callbacks.workspace AND (r.agent IS NULL OR r.agent = agent_id)
      ) AS seconds
      FROM callbacks WHERE ${isWanted} ORDER BY id FOR UPDATE
    ), c AS (
      UPDATE callbacks SET lease_expires_at = greatest(lease_expires_at, now() + make_interval(secs => seconds))
      FROM held WHERE id = held_id RETURNING callbacks.*
    )
    SELECT ${HELD_COLUMNS} FROM c`
}

function isOf({ agent_id: agentId, workspace }: HeldRow, key: LeaseKey): boolean {
  return workspace === key.workspace && (key.agentId === undefined || key.agentId === agentId)
}

/** @returns undefined if the clock has stepped since the lease was given: nobody knows what the agent has asked for since then */
function heldLease(row: HeldRow, sentMs: number, clock: DatabaseClock): HeldLease | undefined {
  const leasedAtMs = sentMs - Math.max(0, row.now_ms - row.leased_ms)
  if (leasedAtMs <= clock.steppedAtMs) return undefined
  const delivered = new Set(parseIds(row.delivered))
  const claim = { token: row.claim_token, claimedAtMs: leasedAtMs, steppedAtMs: clock.steppedAtMs }
  const read = claimedCallback({ ...row, now_ms: row.leased_ms, fresh_ids: null }, claim)
  const offline = read.unstored.filter(({ id }) => delivered.has(id)).map(({ id }) => id)
  const missingIds = [...offline, ...read.missingIds]
  return {
    lease: leaseOf(row),
    agentName: row.agent_name,
    callback: {
      ...read,
      missingIds,
      unstored: read.unstored.filter(({ id }) => !delivered.has(id)),
    },
    asked: new Set(missingIds),
    delivered,
    offline,
    leasedAtMs,
    leasedEpochMs: row.leased_ms,
  }
}
