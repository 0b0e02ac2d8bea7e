import { Prisma, type PrismaClient } from '#prisma'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'
import { hourOf, WHOLE_HOUR } from './ledger-sql.ts'
import { retentionEnd } from './retention-end.ts'

interface Pruned {
  readonly prisma: PrismaClient
  readonly clock: DatabaseClock
}

/**
 * Adds up answers that were counted by the minute and by process, hour by hour. Other replicas may do the same at this moment: each takes rows of
 * its own, and all write the hours in one order.
 * @param options.afterSeconds age from which on nobody counts in a minute any more
 * @param options.limit maximum number of rows to add up
 * @returns number of rows added up
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function mergeAnswers(
  { prisma, clock }: Pruned,
  { afterSeconds, limit }: { readonly afterSeconds: number; readonly limit: number },
): Promise<number> {
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ count: number }[]>`
      WITH old AS MATERIALIZED (
        SELECT workspace, at, outcome, process FROM ledger_answers
        WHERE at < ${hourOf(retentionEnd(clock, afterSeconds))} AND process <> ${WHOLE_HOUR} LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), gone AS (
        DELETE FROM ledger_answers a USING old o
        WHERE a.workspace = o.workspace AND a.at = o.at AND a.outcome = o.outcome AND a.process = o.process
        RETURNING a.workspace, a.at, a.outcome, a.count
      ), merged AS (
        INSERT INTO ledger_answers AS l (workspace, at, outcome, process, count)
        SELECT workspace, ${hourOf(Prisma.sql`at`)}, outcome, ${WHOLE_HOUR}, sum(count) FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (workspace, at, outcome, process) DO UPDATE SET count = l.count + excluded.count
      )
      SELECT count(*)::int AS count FROM gone`,
  )
  return row?.count ?? 0
}

/**
 * Deletes what the ledger has of hours that are older than its retention.
 * @param options.limit maximum number of rows to delete of each table
 * @returns the larger of the numbers of rows deleted
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function pruneLedger(
  { prisma, clock }: Pruned,
  { retentionSeconds, limit }: { readonly retentionSeconds: number; readonly limit: number },
): Promise<number> {
  const end = retentionEnd(clock, retentionSeconds)
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ count: number }[]>`
      WITH old_hours AS MATERIALIZED (
        SELECT workspace, hour FROM ledger_hours WHERE hour < ${end} LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), old_answers AS MATERIALIZED (
        SELECT workspace, at, outcome, process FROM ledger_answers WHERE at < ${end} LIMIT ${limit} FOR UPDATE SKIP LOCKED
      ), hours AS (
        DELETE FROM ledger_hours h USING old_hours o WHERE h.workspace = o.workspace AND h.hour = o.hour RETURNING 1
      ), answers AS (
        DELETE FROM ledger_answers a USING old_answers o
        WHERE a.workspace = o.workspace AND a.at = o.at AND a.outcome = o.outcome AND a.process = o.process RETURNING 1
      )
      SELECT greatest((SELECT count(*) FROM hours), (SELECT count(*) FROM answers))::int AS count`,
  )
  return row?.count ?? 0
}
