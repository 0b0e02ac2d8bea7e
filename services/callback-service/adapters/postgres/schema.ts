import type { PrismaClient } from '#prisma'
import { pendingMigrations } from '#prisma/migrate.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { type Database, inDatabase, LEAVE_A_MARK, WAIT_FOR_DISK } from './database.ts'

/**
 * Makes a probe that checks whether callbacks can be stored: the database answers, has our schema, and can be written to.
 * @returns the probe, to be called regularly. It checks the schema until it is there. With `isWriting` it also commits something, which
 * leaves no row. It throws the problem, in words for an operator. If callbacks can be stored, it returns what an operator should know.
 */
export function storageProbe({ prisma, queryTimeoutMs, durability }: Database): (isWriting?: boolean) => Promise<Cautions> {
  let isMigrated = false
  return async (isWriting = false) => {
    if (!isMigrated) await requireSchema(prisma)
    isMigrated = true
    const { isFlushed, timeout } = await requireWritable(prisma, queryTimeoutMs)
    if (isWriting) await commit(prisma)
    return { settings: timeout, durability: durability === 'none' ? NOTHING_KEPT : isFlushed ? undefined : NOT_FLUSHED }
  }
}

/** What an operator should know although callbacks can be stored, in words. */
interface Cautions {
  /** A setting of ours that the server does not use. */
  readonly settings: string | undefined
  /** Why callbacks can be lost that were answered with 202. */
  readonly durability: string | undefined
}

const NOTHING_KEPT = 'database.durability is none, so the service keeps nothing of what it accepts'
/** Only a warning. Some hosted databases keep their data without fsync, and a refusal would make the service unavailable. */
const NOT_FLUSHED =
  'the server has fsync off, so a crash of its machine loses callbacks that were answered with 202: turn it on, unless the storage makes up for it'

async function requireSchema(prisma: PrismaClient): Promise<void> {
  const applied = await inDatabase(
    () => prisma.$queryRaw<{ migration_name: string }[]>`
      SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`,
  )
  const pending = await pendingMigrations(applied.map(row => row.migration_name))
  if (pending.length > 0)
    throw new StorageUnavailableError(`the database is not migrated: ${pending.join(', ')} missing; run \`make migrate\``)
}

/** @returns whether commits reach the disk, and how the timeout of statements differs from ours */
async function requireWritable(prisma: PrismaClient, queryTimeoutMs: number): Promise<{ isFlushed: boolean; timeout: string | undefined }> {
  const [session] = await inDatabase(
    () => prisma.$queryRaw<
      { is_standby: boolean; is_read_only: boolean; statement_timeout: string; is_bounded: boolean; is_flushed: boolean }[]
    >`
      SELECT pg_is_in_recovery() AS is_standby, current_setting('transaction_read_only')::boolean AS is_read_only,
        current_setting('statement_timeout') AS statement_timeout,
        current_setting('statement_timeout')::interval = ${queryTimeoutMs} * interval '1 ms' AS is_bounded,
        current_setting('fsync')::boolean AS is_flushed`,
  )
  if (session?.is_standby)
    throw new StorageUnavailableError(
      'the database is read-only: it is a standby (pg_is_in_recovery), but the address must lead to the primary',
    )
  if (session?.is_read_only) throw new StorageUnavailableError('the database is read-only (default_transaction_read_only is on)')
  return {
    isFlushed: session?.is_flushed ?? false,
    timeout: session?.is_bounded ? undefined : droppedTimeout(session?.statement_timeout, queryTimeoutMs),
  }
}

function droppedTimeout(timeout: string | undefined, queryTimeoutMs: number): string {
  return `the server has statement_timeout ${timeout} for us, not ${queryTimeoutMs}ms: a pooler drops our settings, and the service itself cancels slow statements`
}

/**
 * Does the same as accepting a callback, without a row. It needs the same right and the same lock, and waits for the same disk and standby.
 */
async function commit(prisma: PrismaClient): Promise<void> {
  await inDatabase(
    () => prisma.$queryRaw`
      WITH nothing AS (INSERT INTO callbacks (id) SELECT NULL::uuid WHERE false)
      SELECT ${WAIT_FOR_DISK}, ${LEAVE_A_MARK}`,
  )
}
