import { withClient } from '../../test/support/database.ts'
import { PostgresServer } from '../../test/support/postgres-server.ts'

export interface BenchDatabase<Server = PostgresServer> {
  readonly server: Server
  /** A migrated database. */
  readonly url: string
  /** Of the server. */
  readonly version: string
}

/** Runs `work` beside a PostgreSQL of its own, with the durability it has by default: what is committed is on disk. */
export async function withPostgres(work: (database: BenchDatabase) => Promise<void>): Promise<void> {
  const server = await PostgresServer.start()
  try {
    const url = await server.createDatabase('answerback')
    const { rows } = await withClient(url, client => client.query('SHOW server_version'))
    await work({ server, url, version: rows[0].server_version })
  } finally {
    await server.remove()
  }
}
