import { Prisma, type PrismaClient } from '#prisma'
import type { FoundReceipt } from '../../domain/traffic/last-receipts.ts'
import { type MinuteCount, type MinuteSpan, WINDOW_MINUTES, WINDOW_MS } from '../../domain/traffic/traffic-minutes.ts'
import { inDatabase } from './database.ts'
import { timestamp } from './ledger-sql.ts'

/**
 * Counts the callbacks of all workspaces by the minute: those received, and those that failed. Both ends of the span are known, so Postgres reads
 * only the pages of `callbacks_received` and the part of `callbacks_finished` that it needs.
 * @throws {StorageUnavailableError} the database cannot be read now, or not in time
 */
export async function readTraffic(
  prisma: PrismaClient,
  { fromMs, toMs }: MinuteSpan,
): Promise<{ readonly nowMs: number; readonly counts: readonly MinuteCount[] }> {
  const within = (time: Prisma.Sql): Prisma.Sql => Prisma.sql`${time} >= ${timestamp(fromMs)} AND ${time} < ${timestamp(toMs)}`
  const [received, finished] = [Prisma.sql`received_at`, Prisma.sql`finished_at`]
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ nowMs: number; counts: string }[]>`
      SELECT ${inMs(Prisma.sql`now()`)} AS "nowMs", (
        SELECT coalesce(json_agg(json_build_object('workspace', workspace, 'atMs', ${inMs(Prisma.sql`minute`)}, 'received', received, 'failed', failed,
          'lastMs', ${inMs(Prisma.sql`last`)})), '[]')::text
        FROM (
          SELECT workspace, minute, sum(received) AS received, sum(failed) AS failed, max(last) AS last
          FROM (
            SELECT workspace, ${minuteOf(received)} AS minute, count(*) AS received, 0 AS failed, max(received_at) AS last
            FROM callbacks WHERE ${within(received)} GROUP BY 1, 2
            UNION ALL
            SELECT workspace, ${minuteOf(finished)}, 0, count(*), NULL
            FROM callbacks WHERE ${within(finished)} AND state = 'failed' GROUP BY 1, 2
          ) AS each GROUP BY 1, 2
        ) AS counted
      ) AS counts`,
  )
  if (!row) throw new Error('a SELECT without FROM has one row')
  return { nowMs: row.nowMs, counts: JSON.parse(row.counts) as MinuteCount[] }
}

/**
 * Finds the last callback of each of these workspaces, and how many came in the 15 minutes before it. A workspace without callbacks in the span is
 * not in the result.
 * @throws {StorageUnavailableError} the database cannot be read now, or not in time
 */
export async function findLastReceipts(
  prisma: PrismaClient,
  { workspaces, fromMs, toMs }: MinuteSpan & { readonly workspaces: readonly string[] },
): Promise<FoundReceipt[]> {
  // The minutes before the first moment of the span belong to a callback of that moment.
  const since = timestamp(fromMs - WINDOW_MS)
  const until = timestamp(toMs)
  const rows = await inDatabase(
    () => prisma.$queryRaw<Omit<FoundReceipt, 'minutes'>[]>`
      WITH lasts AS MATERIALIZED (
        SELECT workspace, max(received_at) AS last FROM callbacks
        WHERE received_at >= ${timestamp(fromMs)} AND received_at < ${until} AND workspace = ANY (${workspaces}::text[]) GROUP BY 1
      )
      SELECT l.workspace, ${inMs(Prisma.sql`l.last`)} AS "lastMs", count(*)::float8 AS received,
        count(DISTINCT ${minuteOf(Prisma.sql`c.received_at`)})::float8 AS "busyMinutes"
      FROM lasts l JOIN callbacks c ON c.workspace = l.workspace
      WHERE c.received_at >= ${since} AND c.received_at < ${until} AND c.received_at <= l.last
        AND c.received_at >= ${minuteOf(Prisma.sql`l.last`)} - ${WINDOW_MINUTES - 1}::float8 * interval '1 minute'
      GROUP BY l.workspace, l.last`,
  )
  return rows.map(row => ({ ...row, minutes: WINDOW_MINUTES }))
}

/**
 * Finds the last hour of each of these workspaces whose callbacks are gone. It reads one row of each from the key of the table.
 * @throws {StorageUnavailableError} the database cannot be read now, or not in time
 */
export async function findLastHours(prisma: PrismaClient, workspaces: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ workspace: string; hourMs: number }[]>`
      SELECT w.workspace, ${inMs(Prisma.sql`l.hour`)} AS "hourMs" FROM unnest(${workspaces}::text[]) AS w (workspace)
      CROSS JOIN LATERAL (
        SELECT hour FROM ledger_hours WHERE workspace = w.workspace AND accepted > 0 ORDER BY workspace DESC, hour DESC LIMIT 1
      ) AS l`,
  )
  return new Map(rows.map(({ workspace, hourMs }) => [workspace, hourMs]))
}

function minuteOf(time: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`date_bin('1 minute', ${time}, 'epoch')`
}

function inMs(time: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`(extract(epoch FROM ${time}) * 1000)::float8`
}
