import pg from 'pg'
import { pino } from 'pino'
import { createTestDatabase } from '../../../../../test/support/database.ts'
import { Database, type DatabaseOptions } from '../../../adapters/postgres/database.ts'

export const logger = pino({ level: 'silent' })

export type TestStorage = Awaited<ReturnType<typeof openTestStorage>>

/** A database of its own for a test file, pools on it, and a look from outside. */
export async function openTestStorage(options: { isEmpty?: boolean } = {}) {
  const database = await createTestDatabase(options)
  const onlooker = new pg.Pool({ connectionString: database.url, application_name: 'onlooker' })
  // Its connections may be ended while they are idle, by the drop of the database at the latest.
  onlooker.on('error', () => undefined)
  const pools: Database[] = []

  return {
    url: database.url,

    /** A pool that is closed with the rest. */
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

    /** Asks on a connection that none of the pools has; never the same one twice for sure, so no transactions. */
    async query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
      return (await onlooker.query<Row>(sql, values)).rows
    },

    /** Cuts, from the server's side, every connection but those of `query`. */
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
