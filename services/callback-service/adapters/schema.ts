import type { PrismaClient } from '#prisma'
import { pendingMigrations } from '#prisma/migrate.ts'
import { StorageUnavailableError } from '../domain/storage-errors.ts'
import { inDatabase } from './database.ts'

/**
 * Tells whether the database answers and has our schema.
 * @returns a probe to call again and again; once the schema is there it only asks for an answer
 */
export function storageProbe(prisma: PrismaClient): () => Promise<void> {
  let isMigrated = false
  return async () => {
    if (isMigrated) {
      await inDatabase(() => prisma.$queryRaw`SELECT 1`)
      return
    }
    const applied = await inDatabase(
      () => prisma.$queryRaw<{ migration_name: string }[]>`
        SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`,
    )
    const pending = await pendingMigrations(applied.map(row => row.migration_name))
    if (pending.length > 0)
      throw new StorageUnavailableError(`the database is not migrated: ${pending.join(', ')} missing; run \`make migrate\``)
    isMigrated = true
  }
}
