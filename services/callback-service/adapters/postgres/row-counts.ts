import type { PrismaClient } from '#prisma'
import type { CallbackCounts } from '../../domain/accepting/workspace-forecast.ts'
import { inDatabase } from './database.ts'

/**
 * Counts callbacks by workspace. A workspace without any is not in the result.
 * @param windowMs callbacks that finished within this time count as finished
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function countCallbacks(prisma: PrismaClient, windowMs: number): Promise<ReadonlyMap<string, CallbackCounts>> {
  const rows = await inDatabase(
    // A count for each partial index. A single count over all states would also read the callbacks that finished long ago. `now()` lets the
    // planner estimate how many rows the window has. New callbacks have priority 0, so those with a lower one are behind them.
    () => prisma.$queryRaw<(CallbackCounts & { workspace: string })[]>`
      SELECT workspace, sum(pending + running)::float8 AS unfinished, sum(due)::float8 AS due, sum(running)::float8 AS running,
        sum(paused)::float8 AS paused, sum(finished)::float8 AS finished
      FROM (
        SELECT workspace, count(*) AS pending, count(*) FILTER (WHERE due_at <= now() AND priority >= 0) AS due, 0 AS running, 0 AS paused, 0 AS finished
        FROM callbacks WHERE state = 'pending' GROUP BY 1
        UNION ALL SELECT workspace, 0, 0, count(*), 0, 0 FROM callbacks WHERE state = 'running' GROUP BY 1
        UNION ALL SELECT workspace, 0, 0, 0, count(*), 0 FROM callbacks WHERE state = 'paused' GROUP BY 1
        UNION ALL SELECT workspace, 0, 0, 0, 0, count(*) FROM callbacks
        WHERE finished_at > now() - ${windowMs}::float8 * interval '1 ms' AND finished_at <= now() AND state <> 'cancelled' GROUP BY 1
      ) AS counts GROUP BY 1`,
  )
  return new Map(rows.map(({ workspace, ...counts }) => [workspace, counts]))
}

/**
 * Counts the objects that readers see: not expired, and online unless offline ones are kept.
 * @param options.keepOffline for workspaces that do not say it themselves
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function countLiveObjects({
  prisma,
  keepOffline,
}: {
  readonly prisma: PrismaClient
  readonly keepOffline: boolean
}): Promise<number> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ count: bigint }[]>`
      SELECT count(*) AS count FROM objects o LEFT JOIN workspaces w ON w.name = o.workspace
      WHERE (o.online OR coalesce(w.keep_offline, ${keepOffline}::boolean)) AND o.expires_at > clock_timestamp()`,
  )
  return Number(rows[0]?.count ?? 0)
}
