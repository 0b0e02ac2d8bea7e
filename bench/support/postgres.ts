import { withClient } from '../../test/support/database.ts'
import { PostgresServer } from '../../test/support/postgres-server.ts'

export interface BenchDatabase<Server = PostgresServer> {
  readonly server: Server
  /** URL of a migrated database. */
  readonly url: string
  /** Version of the server. */
  readonly version: string
}

/** Runs `work` with a separate PostgreSQL that has the default durability: committed data is on the disk. */
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
