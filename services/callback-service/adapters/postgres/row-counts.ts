import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackCounts } from '../../domain/accepting/workspace-forecast.ts'
import { inDatabase } from './database.ts'

/** What a count found, and how long the database worked on it. */
interface Counted<Counts> {
  readonly counts: Counts
  readonly tookMs: number
}

/**
 * Counts callbacks by workspace. A workspace without any is not in the result.
 * @param windowMs callbacks that finished within this time count as finished
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function countCallbacks(prisma: PrismaClient, windowMs: number): Promise<Counted<ReadonlyMap<string, CallbackCounts>>> {
  const rows = await inDatabase(
    // A count for each partial index. A single count over all states would also read the callbacks that finished long ago. `now()` lets the
    // planner estimate how many rows the window has. New callbacks have priority 0, so those with a lower one are behind them.
    () => prisma.$queryRaw<(CallbackCounts & { workspace: string; tookMs: number })[]>`
      SELECT workspace, sum(pending + running)::float8 AS unfinished, sum(due)::float8 AS due, sum(running)::float8 AS running,
        sum(paused)::float8 AS paused, sum(finished)::float8 AS finished, ${TOOK_MS} AS "tookMs"
      FROM (
        SELECT workspace, count(*) AS pending, count(*) FILTER (WHERE due_at <= now() AND priority >= 0) AS due, 0 AS running, 0 AS paused, 0 AS finished
        FROM callbacks WHERE state = 'pending' GROUP BY 1
        UNION ALL SELECT workspace, 0, 0, count(*), 0, 0 FROM callbacks WHERE state = 'running' GROUP BY 1
        UNION ALL SELECT workspace, 0, 0, 0, count(*), 0 FROM callbacks WHERE state = 'paused' GROUP BY 1
        UNION ALL SELECT workspace, 0, 0, 0, 0, count(*) FROM callbacks
        WHERE finished_at > now() - ${windowMs}::float8 * interval '1 ms' AND finished_at <= now() AND state <> 'cancelled' GROUP BY 1
      ) AS counts GROUP BY 1`,
  )
  const countsOf = ({ unfinished, due, running, paused, finished }: CallbackCounts) => ({ unfinished, due, running, paused, finished })
  return { counts: new Map(rows.map(row => [row.workspace, countsOf(row)])), tookMs: rows.at(-1)?.tookMs ?? 0 }
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
}): Promise<Counted<number>> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ counts: number; tookMs: number }[]>`
      SELECT count(*)::float8 AS counts, ${TOOK_MS} AS "tookMs" FROM objects o LEFT JOIN workspaces w ON w.name = o.workspace
      WHERE (o.online OR coalesce(w.keep_offline, ${keepOffline}::boolean)) AND o.expires_at > clock_timestamp()`,
  )
  return rows[0] ?? { counts: 0, tookMs: 0 }
}

/** Time since the statement began. Evaluated for the rows of the result, it is the time that the count took. */
const TOOK_MS = Prisma.sql`extract(epoch FROM clock_timestamp() - now())::float8 * 1000`
