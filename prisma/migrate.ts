import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { ConfigError, helpText, setting } from '#foundation/config/schema.ts'
import { Settings } from '#foundation/config/settings.ts'

/**
 * The key of Prisma's advisory lock for migrations. This file brings a database to the schema of prisma/migrations. It replaces
 * `prisma migrate deploy`, because our image does not contain the Prisma CLI, and a service must be able to migrate when it starts.
 *
 * It writes the table `_prisma_migrations` in the same way as Prisma, under the same lock. So they exclude each other, and each can
 * continue where the other ended
 * (https://github.com/prisma/prisma-engines/tree/main/schema-engine/connectors/sql-schema-connector/src/flavour/postgres).
 */
const PRISMA_MIGRATE_LOCK = 72_707_369

const CONNECT_TIMEOUT_MS = 5000
const LOCK_TIMEOUT_MS = 5000
const LOCK_TRY_MS = 1000
/** SQLSTATE of a lock timeout: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const LOCK_NOT_AVAILABLE = '55P03'
const MIGRATIONS = new URL('./migrations/', import.meta.url)

export interface Migration {
  /** The name of its folder. Migrations are applied in the order of their names. */
  readonly name: string
  readonly sql: string
  /** SHA-256 of the file, in hex. */
  readonly checksum: string
}

/** The logger that `migrate` needs, such as one of pino. */
export interface MigrationLogger {
  info(fields: object, message: string): void
}

/**
 * The database cannot be migrated, because a migration failed or the database and the files contradict each other. An operator must decide.
 */
export class MigrationError extends Error {
  readonly code: 'migration_changed' | 'migration_unfinished' | 'migration_failed'

  constructor(code: MigrationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Applies the missing migrations, each in one transaction. Any number of processes may call it at once: they wait for each other, and the
 * first one applies the migrations. It ignores applied migrations that have no file, because an older version may start beside a newer one.
 * @param options.signal ends the wait for others, or the migration under way, which then leaves nothing behind
 * @returns the names of the migrations that this call applied, in order
 * @throws {MigrationError} an applied migration was changed, Prisma left one unfinished, or one fails (and leaves nothing behind)
 * @throws the error of `pg` if the database cannot be reached; the call does not try again
 */
export async function migrate(options: { url: string; logger?: MigrationLogger; folder?: URL; signal?: AbortSignal }): Promise<string[]> {
  const { signal } = options
  signal?.throwIfAborted()
  const migrations = await readMigrations(options.folder)
  const client = new pg.Client({
    connectionString: options.url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'answerback-migrate',
  })
  // A broken connection also fails the query under way, and the error is handled there.
  client.on('error', () => {})
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  try {
    return await Promise.race([migrateWith(client, migrations, options.logger), aborted.promise])
  } finally {
    signal?.removeEventListener('abort', abort)
    // Closing rolls back the transaction under way. After an abort we do not wait for it: with a hung server, `end` would never resolve.
    const ended = client.end()
    if (!signal?.aborted) await ended
  }
}

async function migrateWith(client: pg.Client, migrations: readonly Migration[], logger: MigrationLogger | undefined): Promise<string[]> {
  await client.connect()
  await lock(client)
  const pending = findPending(migrations, await readApplied(client))
  for (const migration of pending) {
    await apply(client, migration)
    logger?.info({ migration: migration.name }, 'migration applied')
  }
  return pending.map(migration => migration.name)
}

/**
 * Waits for the lock, which the session holds until it ends. If this process dies while it waits, the server notices within `LOCK_TRY_MS`.
 */
async function lock(client: pg.Client): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_TRY_MS}`)
  for (;;) {
    try {
      await client.query('SELECT pg_advisory_lock($1)', [PRISMA_MIGRATE_LOCK])
      return
    } catch (error) {
      if ((error as pg.DatabaseError).code !== LOCK_NOT_AVAILABLE) throw error
    }
  }
}

/** Turns an error of `migrate` into a sentence for an operator. */
export function explainMigrationError(error: unknown): string {
  if (error instanceof MigrationError) return error.message
  // If a host name has several addresses, a refused connection is an AggregateError with an empty message.
  const cause = error instanceof AggregateError ? error.errors[0] : error
  return `the database cannot be migrated: ${cause instanceof Error ? cause.message : cause}`
}

/** Lists the names of the migrations that are not applied yet, in the order in which they must be applied. */
export async function pendingMigrations(appliedNames: Iterable<string>): Promise<string[]> {
  const applied = new Set(appliedNames)
  return (await migrationNames(MIGRATIONS)).filter(name => !applied.has(name))
}

/** Reads all migrations from their files, in order. */
export async function readMigrations(folder: URL = MIGRATIONS): Promise<Migration[]> {
  const names = await migrationNames(folder)
  return Promise.all(
    names.map(async name => {
      const file = await readFile(new URL(`${name}/migration.sql`, folder))
      return { name, sql: file.toString(), checksum: createHash('sha256').update(file).digest('hex') }
    }),
  )
}

async function migrationNames(folder: URL): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries
    .filter(entry => entry.isDirectory())
    .map(entry => entry.name)
    .sort()
}

interface AppliedMigration {
  readonly migration_name: string
  readonly checksum: string
  readonly is_finished: boolean
}

async function readApplied(client: pg.Client): Promise<AppliedMigration[]> {
  await client.query(CREATE_TABLE)
  const { rows } = await client.query<AppliedMigration>(
    `SELECT migration_name, checksum, finished_at IS NOT NULL AS is_finished
       FROM "_prisma_migrations" WHERE rolled_back_at IS NULL`,
  )
  return rows
}

function findPending(migrations: readonly Migration[], applied: readonly AppliedMigration[]): Migration[] {
  const unfinished = applied.find(row => !row.is_finished)
  if (unfinished)
    throw new MigrationError(
      'migration_unfinished',
      `Prisma left the migration ${unfinished.migration_name} unfinished: resolve it with \`prisma migrate resolve\` first`,
    )
  const checksums = new Map(applied.map(row => [row.migration_name, row.checksum]))
  const changed = migrations.find(({ name, checksum }) => checksums.has(name) && checksums.get(name) !== checksum)
  if (changed)
    throw new MigrationError(
      'migration_changed',
      `the migration ${changed.name} was changed after this database applied it: restore its file and put the change into a new migration`,
    )
  return migrations.filter(({ name }) => !checksums.has(name))
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query('BEGIN')
    // A statement that waits for a table lock blocks all later ones. The migration fails rather than stop the traffic of a running service.
    await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
    await client.query(sql)
    await client.query(
      `INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    )
    await client.query('COMMIT')
  } catch (cause) {
    // The end of the session rolls back the transaction.
    throw new MigrationError('migration_failed', `migration ${name} failed: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

const CREATE_TABLE = `
  CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`

if (import.meta.main) await main()

async function main(): Promise<void> {
  const schema = {
    database: {
      url: setting<string>({
        doc: 'PostgreSQL database to migrate, as a postgresql:// URL.',
        format: 'postgres-url',
        default: null,
        secret: true,
      }),
      sessionUrl: setting<string>({
        doc: 'PostgreSQL URL for migrations, which need sessions. Set it if database.url leads to a pooler. Empty: database.url.',
        format: 'optional-postgres-url',
        default: '',
        secret: true,
      }),
    },
  }
  if (process.argv.includes('--help')) {
    process.stdout.write(helpText('node prisma/migrate.ts', schema))
    return
  }
  try {
    const settings = new Settings(schema, { argv: process.argv.slice(2), env: process.env })
    const { url, sessionUrl } = settings.current.database
    const applied = await migrate({ url: sessionUrl || url })
    process.stdout.write(`${applied.length === 0 ? 'the database is up to date' : `applied ${applied.join(', ')}`}\n`)
  } catch (error) {
    const isConfig = error instanceof ConfigError
    process.stderr.write(`${isConfig ? error.message : explainMigrationError(error)}\n`)
    process.exitCode = isConfig ? 2 : 1
  }
}
