import type { PrismaClient } from '#prisma'
import { inDatabase } from './database.ts'
import type { Readable } from './object-reader.ts'

/** Counts the callbacks that are not finished. @throws {StorageUnavailableError} the database cannot be read now */
export async function countUnfinishedCallbacks(prisma: PrismaClient): Promise<number> {
  const rows = await inDatabase(
    // Two counts, each with its own partial index. A single count over both states would also read the finished callbacks.
    () => prisma.$queryRaw<{ count: bigint }[]>`
      SELECT (SELECT count(*) FROM callbacks WHERE state = 'pending') + (SELECT count(*) FROM callbacks WHERE state = 'running') AS count`,
  )
  return Number(rows[0]?.count ?? 0)
}

/**
 * Counts the objects that readers see: not expired, and online unless offline ones are kept.
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function countLiveObjects({ prisma, keepOffline }: Readable): Promise<number> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ count: bigint }[]>`
      SELECT count(*) AS count FROM objects WHERE (online OR ${keepOffline}::boolean) AND expires_at > clock_timestamp()`,
  )
  return Number(rows[0]?.count ?? 0)
}
