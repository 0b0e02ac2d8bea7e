import type { PrismaClient } from '#prisma'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'

/**
 * Deletes callbacks, with their idempotency keys, that finished longer ago than the retention.
 * @param options.limit maximum number of callbacks to delete
 * @returns number of callbacks deleted
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function pruneCallbacks(
  { prisma, clock }: { readonly prisma: PrismaClient; readonly clock: DatabaseClock },
  { retentionSeconds, limit }: { readonly retentionSeconds: number; readonly limit: number },
): Promise<number> {
  return inDatabase(
    () => prisma.$executeRaw`
      DELETE FROM callbacks WHERE id IN (
        SELECT id FROM callbacks WHERE finished_at < least(now(), to_timestamp(${clock.latestNowMs()}::float8 / 1000))
          - make_interval(secs => ${retentionSeconds}::float8)
          -- If the clock went forward, callbacks look older than they are. Deleting a key too early could let a second callback in.
          - (SELECT make_interval(secs => coalesce(sum(step_ms), 0) / 1000) FROM clock_steps
             WHERE step_ms > 0 AND noticed_at > now() - make_interval(secs => ${retentionSeconds}::float8))
        ORDER BY finished_at LIMIT ${limit} FOR UPDATE SKIP LOCKED)`,
  )
}
