import { Prisma, type PrismaClient } from '#prisma'
import { inDatabase } from './database.ts'
import { assignments } from './steering-sql.ts'

export type Waiting = 'pending' | 'paused'

/** The partial indexes of the two states count only if the state is in the text of the statement. */
const IS = { pending: Prisma.sql`state = 'pending'`, paused: Prisma.sql`state = 'paused'` } as const

/** Returns the time of the database, as text. @throws {StorageUnavailableError} */
export async function databaseTime(prisma: PrismaClient): Promise<string> {
  const [row] = await inDatabase(() => prisma.$queryRaw<{ now: string }[]>`SELECT clock_timestamp()::text AS now`)
  return (row as { now: string }).now
}

/**
 * Cancels waiting callbacks of a workspace that were received until `until`, at most `limit`. It skips those that another statement has locked, and
 * holds up neither claims nor accepts.
 * @returns number of cancelled callbacks
 */
export function flushCallbacks(
  prisma: PrismaClient,
  {
    workspace,
    state,
    until,
    limit,
  }: { readonly workspace: string; readonly state: Waiting; readonly until: string; readonly limit: number },
): Promise<number> {
  return inDatabase(
    () => prisma.$executeRaw`
      UPDATE callbacks SET ${assignments({ kind: 'cancel' }, 'flush')} WHERE id = ANY (ARRAY(
        SELECT id FROM callbacks WHERE ${IS[state]} AND workspace = ${workspace} AND received_at <= ${until}::timestamptz
        LIMIT ${limit} FOR UPDATE SKIP LOCKED))`,
  )
}

/** Whether callbacks are left that `flushCallbacks` would cancel. */
export async function isAnyLeft(
  prisma: PrismaClient,
  { workspace, state, until }: { readonly workspace: string; readonly state: Waiting; readonly until: string },
): Promise<boolean> {
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ is_left: boolean }[]>`
      SELECT EXISTS (SELECT FROM callbacks WHERE ${IS[state]} AND workspace = ${workspace} AND received_at <= ${until}::timestamptz) AS is_left`,
  )
  return row?.is_left ?? false
}
