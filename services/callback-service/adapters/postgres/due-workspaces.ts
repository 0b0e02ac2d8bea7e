import type { PrismaClient } from '#prisma'
import { SUSPECT_CRASHES } from '../../domain/processing/suspicion.ts'
import { inDatabase } from './database.ts'

/**
 * Finds the workspaces that have callbacks that are due, except suspects.
 *
 * It reads the index `callbacks_due` in leaps: one look for each workspace, and one more for each priority of a workspace until it finds a
 * callback that is due. So its cost depends on the number of workspaces with pending callbacks, not on how many callbacks wait.
 * @returns their names, in order
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function dueWorkspaces(prisma: PrismaClient, { maxCrashes }: { maxCrashes: number }): Promise<string[]> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ workspace: string }[]>`
      WITH RECURSIVE places AS (
        SELECT '' COLLATE "C" AS workspace, 0::smallint AS priority, true AS is_due
        UNION ALL
        -- A subquery with ORDER BY instead of EXISTS, for which Postgres may read the table from its start.
        SELECT next.workspace, next.priority, (
          SELECT true FROM callbacks
          WHERE state = 'pending' AND workspace = next.workspace AND priority = next.priority AND due_at <= now()
            AND crashes NOT BETWEEN ${SUSPECT_CRASHES} AND ${maxCrashes - 1}
          ORDER BY workspace, priority DESC, due_at LIMIT 1
        ) IS TRUE
        FROM places place CROSS JOIN LATERAL (
          SELECT workspace, priority FROM (
            (SELECT workspace, priority FROM callbacks
              WHERE NOT place.is_due AND state = 'pending' AND workspace = place.workspace AND priority < place.priority
              ORDER BY workspace, priority DESC, due_at LIMIT 1)
            UNION ALL
            (SELECT workspace, priority FROM callbacks WHERE state = 'pending' AND workspace > place.workspace
              ORDER BY workspace, priority DESC, due_at LIMIT 1)
          ) following ORDER BY workspace, priority DESC LIMIT 1
        ) next
      )
      SELECT workspace FROM places WHERE is_due AND workspace <> ''`,
  )
  return rows.map(({ workspace }) => workspace)
}
