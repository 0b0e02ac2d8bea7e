import type { PrismaClient } from '#prisma'
import { inDatabase } from './database.ts'

/** Counts the callbacks that are not finished, by workspace. @throws {StorageUnavailableError} the database cannot be read now */
export async function countUnfinishedCallbacks(prisma: PrismaClient): Promise<ReadonlyMap<string, number>> {
  const rows = await inDatabase(
    // Two counts, each with its own partial index. A single count over both states would also read the finished callbacks.
    () => prisma.$queryRaw<{ workspace: string; count: number }[]>`
      SELECT workspace, sum(count)::float8 AS count FROM (
        SELECT workspace, count(*) FROM callbacks WHERE state = 'pending' GROUP BY 1
        UNION ALL SELECT workspace, count(*) FROM callbacks WHERE state = 'running' GROUP BY 1
      ) AS unfinished GROUP BY 1`,
  )
  return new Map(rows.map(({ workspace, count }) => [workspace, count]))
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
