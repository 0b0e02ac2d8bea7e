import { createHash, randomBytes } from 'node:crypto'
import pg from 'pg'
import { migrate, readMigrations } from '#prisma/migrate.ts'

/** The key of the advisory lock for making the template. The value is arbitrary. */
const TEMPLATE_LOCK = 5_309_614

export interface TestDatabase {
  readonly url: string
  /** Drops the database and disconnects its clients. Safe to repeat. */
  drop(): Promise<void>
}

/**
 * Creates a migrated database for one test file. It is a copy of a template, which is migrated once for each set of migrations.
 * The server is that of TEST_DATABASE_URL, which `npm test` starts (test/support/with-postgres.ts).
 * @param options.isEmpty whether the database has no tables, for tests that migrate it themselves
 */
export async function createTestDatabase(options: { isEmpty?: boolean } = {}): Promise<TestDatabase> {
  const server = serverUrl()
  const name = `answerback_test_${randomBytes(6).toString('hex')}`
  const template = options.isEmpty ? 'template0' : await ensureTemplate(server)
  await withClient(server, client => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`))
  return {
    url: databaseUrl(server, name),
    drop: async () => {
      await withClient(server, client => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
    },
  }
}

/** Runs `work` with a connection, and closes the connection afterwards. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  // If the server ends the connection, the current or the next query fails. Without this listener the event would end our process.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The server of this process. Each of mocha's parallel processes has its own, because some tests look at all sessions of a server. */
function serverUrl(): string {
  const urls = process.env['TEST_DATABASE_URL']?.split(' ') ?? []
  const url = urls[Number(process.env['MOCHA_WORKER_ID'] ?? 0) % urls.length]
  if (!url)
    throw new Error(
      'TEST_DATABASE_URL is not set: run the tests with `npm test`, or set it to a server on which the tests may create databases',
    )
  return url
}

async function ensureTemplate(server: string): Promise<string> {
  const checksums = (await readMigrations()).map(migration => migration.checksum).join()
  const template = `answerback_template_${createHash('sha256').update(checksums).digest('hex').slice(0, 12)}`
  await withClient(server, async client => {
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [template])
    if (rowCount !== 0) return
    // The template has another name until it is migrated, so that an interrupted run leaves no incomplete one behind.
    const fresh = `${template}_new`
    await client.query(`DROP DATABASE IF EXISTS ${fresh} WITH (FORCE)`)
    await client.query(`CREATE DATABASE ${fresh} TEMPLATE template0`)
    await migrate({ url: databaseUrl(server, fresh) })
    await client.query(`ALTER DATABASE ${fresh} RENAME TO ${template}`)
  })
  return template
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
