import { Prisma } from '#prisma'
import type { Lease } from '../../domain/leasing/lease.ts'
import { parseIds, parseUnstored } from './claimed-row.ts'

/** The columns of a leased row of `callbacks` from which `leaseOf` makes a lease. The row has the alias c. */
export const LEASE_COLUMNS = Prisma.sql`c.id, c.workspace, c.claim_token, c.agent_id, c.attempts, c.crashes, c.object_ids::text, c.unstored,
  coalesce(c.delivered, '{}')::text AS delivered, c.received_at, c.leased_at, c.lease_expires_at, c.request_id, c.traceparent, c.tracestate, c.baggage,
  extract(epoch FROM c.lease_expires_at - clock_timestamp())::float8 * 1000 AS expires_in_ms,
  extract(epoch FROM c.leased_at - coalesce(c.retried_at, c.received_at))::float8 * 1000 AS waited_ms`

export interface LeaseRow {
  readonly id: string
  readonly workspace: string
  readonly claim_token: string
  readonly agent_id: string
  readonly attempts: number
  readonly crashes: number
  readonly object_ids: string
  readonly unstored: unknown
  readonly delivered: string
  readonly received_at: Date
  readonly leased_at: Date
  readonly lease_expires_at: Date
  readonly request_id: string | null
  readonly traceparent: string | null
  readonly tracestate: string | null
  readonly baggage: string | null
  readonly expires_in_ms: number
  readonly waited_ms: number
}

export function leaseOf(row: LeaseRow): Lease {
  const delivered = new Set(parseIds(row.delivered))
  const open =
    row.unstored === null
      ? parseIds(row.object_ids)
      : parseUnstored(row.unstored)
          .filter(({ outcome }) => outcome === 'pending')
          .map(({ id }) => id)
  return {
    token: row.claim_token,
    agentId: row.agent_id,
    callbackId: row.id,
    workspace: row.workspace,
    objectIds: open.filter(id => !delivered.has(id)),
    attempt: row.attempts - row.crashes,
    receivedAt: row.received_at,
    leasedAt: row.leased_at,
    expiresAt: row.lease_expires_at,
    expiresInMs: row.expires_in_ms,
    // If the clock has gone back since the callback came, its time of receipt lies in the future.
    waitedMs: Math.max(0, row.waited_ms),
    trace: { traceparent: row.traceparent ?? undefined, tracestate: row.tracestate ?? undefined, baggage: row.baggage ?? undefined },
    requestId: row.request_id ?? undefined,
  }
}
