import type { ObjectId } from '#fetching/object-id.ts'
import type { PrismaClient } from '#prisma'
import type { HeldLease } from '../../domain/leasing/held-lease.ts'
import { inDatabase } from './database.ts'
import { IS_LIVE_LEASE, lockedInOrder } from './lease-ending.ts'

/** Objects that an agent has delivered, and that are on the disk. */
export interface Delivery {
  readonly held: HeldLease
  readonly ids: readonly ObjectId[]
  /** Those of them that are offline, if the workspace keeps only objects that are online. */
  readonly offline: readonly ObjectId[]
}

/** A lease after a delivery. */
export interface Marked {
  /** Number of objects that the lease still asks for. */
  readonly wanted: number
  readonly expiresAt: Date
}

/**
 * Notes which objects came with live leases, and renews those leases, in one statement. Safe to repeat. Objects that are offline get this as
 * their final outcome, where only objects that are online are kept.
 * @returns for each delivery its lease; undefined if it has ended, and nothing has changed
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function markDelivered(
  prisma: PrismaClient,
  deliveries: readonly Delivery[],
  leaseSeconds: number,
): Promise<(Marked | undefined)[]> {
  // One statement changes a row once, so the deliveries of one lease are joined.
  const byToken = Map.groupBy(deliveries, ({ held }) => held.lease.token)
  const marks = [...byToken].map(([token, these]) => ({
    id: these[0]?.held.lease.callbackId ?? '',
    token,
    ids: textOf(these.flatMap(({ ids }) => ids)),
    offline: textOf(these.flatMap(({ offline }) => offline)),
  }))
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ token: string; delivered: number; expires_at: Date }[]>`
      UPDATE callbacks c SET
        delivered = ARRAY(SELECT unnest(coalesce(c.delivered, '{}')) UNION SELECT unnest(r.ids)),
        unstored = CASE WHEN cardinality(r.offline) = 0 THEN c.unstored ELSE (
          SELECT jsonb_agg(CASE WHEN (o->>'id')::bigint = ANY (r.offline) THEN jsonb_build_object('id', o->'id', 'outcome', 'offline') ELSE o END ORDER BY place)
          FROM jsonb_array_elements(coalesce(c.unstored, (
            SELECT jsonb_agg(jsonb_build_object('id', id::text, 'outcome', 'pending') ORDER BY n) FROM unnest(c.object_ids) WITH ORDINALITY AS wanted(id, n)
          ))) WITH ORDINALITY AS known(o, place)
        ) END,
        lease_expires_at = greatest(c.lease_expires_at, now() + make_interval(secs => ${leaseSeconds}::float8))
      FROM json_to_recordset(${JSON.stringify(marks)}::json) AS r(id uuid, token uuid, ids bigint[], offline bigint[])
      WHERE c.id = r.id AND c.claim_token = r.token AND ${IS_LIVE_LEASE} AND ${lockedInOrder(marks)}
      RETURNING r.token, cardinality(c.delivered) AS delivered, c.lease_expires_at AS expires_at`,
  )
  const marked = new Map(rows.map(row => [row.token, row]))
  return deliveries.map(({ held }) => {
    const row = marked.get(held.lease.token)
    return row && { wanted: held.asked.size - row.delivered, expiresAt: row.expires_at }
  })
}

/** Ids as strings, because Postgres reads them exactly, and JSON.stringify refuses bigints. */
function textOf(ids: readonly ObjectId[]): string[] {
  return ids.map(String)
}
