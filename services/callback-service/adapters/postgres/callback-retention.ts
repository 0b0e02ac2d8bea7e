import type { PrismaClient } from '#prisma'
import { Prisma } from '#prisma'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'
import { hourOf, KEY_DIGEST } from './ledger-sql.ts'
import { retentionEnd } from './retention-end.ts'

/**
 * Deletes callbacks, with their idempotency keys, that finished longer ago than the retention. The same statement adds them to the hours of the
 * ledger, so each callback is in the ledger exactly once, whenever a process dies.
 * @param options.limit maximum number of callbacks to delete
 * @returns number of callbacks deleted
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function pruneCallbacks(
  { prisma, clock }: { readonly prisma: PrismaClient; readonly clock: DatabaseClock },
  { retentionSeconds, limit }: { readonly retentionSeconds: number; readonly limit: number },
): Promise<number> {
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ count: number }[]>`
      WITH old AS MATERIALIZED (
        -- Deleting a key too early could let a second callback in.
        SELECT id FROM callbacks WHERE finished_at < ${retentionEnd(clock, retentionSeconds)} ORDER BY finished_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM callbacks WHERE id = ANY (ARRAY(SELECT id FROM old))
        RETURNING workspace, received_at, state, idempotency_key, ${KEY_DIGEST} AS digest
      ), kept AS (
        INSERT INTO ledger_hours AS l (workspace, hour, accepted, keyed, completed, failed, cancelled, keys_digest)
        SELECT workspace, ${hourOf(Prisma.sql`received_at`)} AS hour, count(*), count(idempotency_key), count(*) FILTER (WHERE state = 'completed'),
          count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'cancelled'),
          mod(mod(coalesce(sum(digest), 0), ${TWO_TO_64}) + ${TWO_TO_64}, ${TWO_TO_64})
        FROM gone GROUP BY 1, 2
        -- Replicas prune at the same time. All lock the hours in this order, so that they cannot deadlock.
        ORDER BY 1, 2
        ON CONFLICT (workspace, hour) DO UPDATE SET accepted = l.accepted + excluded.accepted, keyed = l.keyed + excluded.keyed,
          completed = l.completed + excluded.completed, failed = l.failed + excluded.failed, cancelled = l.cancelled + excluded.cancelled,
          keys_digest = mod(l.keys_digest + excluded.keys_digest, ${TWO_TO_64})
      )
      SELECT count(*)::int AS count FROM gone`,
  )
  return row?.count ?? 0
}

const TWO_TO_64 = Prisma.raw('18446744073709551616')
