import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { ConfigError, helpText, setting } from '#foundation/config/schema.ts'
import { Settings } from '#foundation/config/settings.ts'

/**
 * Brings a database to the schema of prisma/migrations, in place of `prisma migrate deploy`: the Prisma CLI and its engine are no part of
 * our image, and a service must be able to migrate when it starts.
 *
 * The table `_prisma_migrations` is kept as Prisma keeps it, under Prisma's own advisory lock, so that either may go on where the other
 * ended and both exclude each other
 * (https://github.com/prisma/prisma-engines/tree/main/schema-engine/connectors/sql-schema-connector/src/flavour/postgres).
 */
const PRISMA_MIGRATE_LOCK = 72_707_369

const CONNECT_TIMEOUT_MS = 5000
const LOCK_TIMEOUT_MS = 5000
const LOCK_TRY_MS = 1000
/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const LOCK_NOT_AVAILABLE = '55P03'
const MIGRATIONS = new URL('./migrations/', import.meta.url)

export interface Migration {
  /** The name of its folder. They are applied in the order of their names. */
  readonly name: string
  readonly sql: string
  /** SHA-256 of the file, in hex. */
  readonly checksum: string
}

/** What migrating says of itself; a pino logger fits. */
export interface MigrationLogger {
  info(fields: object, message: string): void
}

/** The database and the migrations on disk contradict each other; a person must decide. */
export class MigrationError extends Error {
  readonly code: 'migration_changed' | 'migration_unfinished' | 'migration_failed'

  constructor(code: MigrationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Applies what is missing, each migration in one transaction. Any number may call it at once: they wait for each other, the first one applies.
 * Migrations that the database has and the disk has not are left alone: an older version may start beside a newer one.
 * @param options.signal ends the wait for others, or the migration under way: nothing of it stays
 * @returns the names applied by this call, in order
 * @throws {MigrationError} an applied migration was changed since, one was left unfinished by Prisma, or one fails (nothing of it stays)
 * @throws whatever `pg` throws when the database cannot be reached; nothing is retried
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
  // A connection that breaks fails the query under way, which is where it is dealt with.
  client.on('error', () => {})
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  try {
    return await Promise.race([migrateWith(client, migrations, options.logger), aborted.promise])
  } finally {
    signal?.removeEventListener('abort', abort)
    // Closing rolls back what is under way. A server that does not answer would not let go of a connection that is being made.
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

/** Waits until the lock is ours; it is held until the session ends. A wait that nobody is behind any more ends within `LOCK_TRY_MS`. */
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

/** What went wrong in `migrate`, as a sentence for a person. */
export function explainMigrationError(error: unknown): string {
  if (error instanceof MigrationError) return error.message
  // A refused connection to a name with several addresses is an AggregateError without a message of its own.
  const cause = error instanceof AggregateError ? error.errors[0] : error
  return `the database cannot be migrated: ${cause instanceof Error ? cause.message : cause}`
}

/** The names of the migrations on disk that are not among those applied, in the order in which they must be. */
export async function pendingMigrations(appliedNames: Iterable<string>): Promise<string[]> {
  const applied = new Set(appliedNames)
  return (await migrationNames(MIGRATIONS)).filter(name => !applied.has(name))
}

/** All migrations on disk, in order. */
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
      `migration ${unfinished.migration_name} was begun by Prisma and left unfinished: resolve it with \`prisma migrate resolve\` first`,
    )
  const checksums = new Map(applied.map(row => [row.migration_name, row.checksum]))
  const changed = migrations.find(({ name, checksum }) => checksums.has(name) && checksums.get(name) !== checksum)
  if (changed)
    throw new MigrationError(
      'migration_changed',
      `migration ${changed.name} was changed after it had been applied to this database: restore its file and put the change into a new migration`,
    )
  return migrations.filter(({ name }) => !checksums.has(name))
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query('BEGIN')
    // Whoever waits for a table's lock holds up all who come after: rather fail than stop a running service's traffic.
    await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
    await client.query(sql)
    await client.query(
      `INSERT INTO "_prisma_migrations" (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    )
    await client.query('COMMIT')
  } catch (cause) {
    // Closing the session rolls back what is left of the transaction.
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
      url: setting<string>({ doc: 'The database to migrate.', format: 'postgres-url', default: null, secret: true }),
      sessionUrl: setting<string>({
        doc: 'Its address without a pooler, where database.url leads to one; empty: database.url.',
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
