import pg from 'pg'
import { pino } from 'pino'
import { createTestDatabase } from '../../../../../test/support/database.ts'
import { Database, type DatabaseOptions } from '../../../adapters/postgres/database.ts'

export const logger = pino({ level: 'silent' })

export type TestStorage = Awaited<ReturnType<typeof openTestStorage>>

/** A separate database for a test file, with pools, and with a connection to look at it from outside. */
export async function openTestStorage(options: { isEmpty?: boolean } = {}) {
  const database = await createTestDatabase(options)
  const onlooker = new pg.Pool({ connectionString: database.url, application_name: 'onlooker' })
  // The server may end idle connections of this pool, at the latest when the database is dropped.
  onlooker.on('error', () => undefined)
  const pools: Database[] = []

  return {
    url: database.url,

    /** Opens a pool that is closed with the storage. */
    open(changes: Partial<DatabaseOptions> = {}): Database {
      const pool = new Database({
        name: 'test',
        url: database.url,
        maxConnections: 2,
        connectTimeoutMs: 1000,
        queryTimeoutMs: 5000,
        logger,
        ...changes,
      })
      pools.push(pool)
      return pool
    },

    /** Runs a statement on a connection outside the pools. Two calls may use different connections, so transactions do not work. */
    async query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
      return (await onlooker.query<Row>(sql, values)).rows
    },

    /** Runs `work` while a transaction that has run a statement is open. The transaction is rolled back. */
    async duringTransaction<T>(sql: string, values: unknown[], work: () => Promise<T>): Promise<T> {
      const client = await onlooker.connect()
      try {
        await client.query('BEGIN')
        await client.query(sql, values)
        return await work()
      } finally {
        await client.query('ROLLBACK')
        client.release()
      }
    },

    /** Makes the server end all connections except those of `query`. */
    async terminateOthers(): Promise<void> {
      await onlooker.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'onlooker'`,
      )
    },

    async close(): Promise<void> {
      await Promise.all(pools.map(pool => pool.stop()))
      await onlooker.end()
      await database.drop()
    },
  }
}
