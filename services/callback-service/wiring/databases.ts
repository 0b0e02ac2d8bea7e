import type { Logger } from '#foundation/telemetry/logger.ts'
import { Database } from '../adapters/postgres/database.ts'
import type { Config } from '../config.ts'

/**
 * The pools of connections to Postgres, one for each purpose. So neither slow reads nor a backlog can use up the connections for accepting.
 */
export interface Databases {
  readonly accept: Database
  readonly work: Database
  readonly read: Database
}

export function databases({ config, logger }: { readonly config: Config; readonly logger: Logger }): Databases {
  const { url, durability, acceptConnections, workConnections, readConnections } = config.database
  return {
    accept: new Database({
      name: 'accept',
      url,
      maxConnections: acceptConnections,
      connectTimeoutMs: 1000,
      queryTimeoutMs: config.accept.timeoutMs,
      durability,
      logger,
    }),
    work: new Database({
      name: 'work',
      url,
      maxConnections: workConnections,
      connectTimeoutMs: 2000,
      queryTimeoutMs: 5000,
      durability,
      logger,
    }),
    read: new Database({
      name: 'read',
      url,
      maxConnections: readConnections,
      connectTimeoutMs: config.read.timeoutMs,
      queryTimeoutMs: config.read.timeoutMs,
      durability,
      logger,
    }),
  }
}
