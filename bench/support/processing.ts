import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { Database } from '../../services/callback-service/adapters/postgres/database.ts'
import { DatabaseClock } from '../../services/callback-service/adapters/postgres/database-clock.ts'
import { schema } from '../../services/callback-service/config.ts'
import type { Workspace } from '../../services/callback-service/domain/workspaces/workspace.ts'
import { callbackMetrics } from '../../services/callback-service/metrics.ts'
import { fetching } from '../../services/callback-service/wiring/fetching.ts'
import { processing } from '../../services/callback-service/wiring/processing.ts'
import { recording } from '../../services/callback-service/wiring/recording.ts'
import { onlyDefault } from '../../test/support/only-default.ts'

const logger = pino({ level: 'silent' })

export function openDatabase(url: string): Database {
  return new Database({ name: 'bench', url, maxConnections: 6, connectTimeoutMs: 2000, queryTimeoutMs: 60_000, logger })
}

/**
 * Processes the callbacks of a database in this process, with the default settings and without an API.
 * @param clientServices the client service of each workspace
 */
export async function workAlone(databaseUrl: string, clientServices: ReadonlyMap<string, string>) {
  const { current } = new Settings(schema, { argv: [], env: { DATABASE_URL: databaseUrl, EXPIRY_TTL_SECONDS: '3600' } })
  const workspaces = new Map(
    [...clientServices].map(([name, url]) => [name, { ...(onlyDefault.all[0] as Workspace), name, clientServiceUrl: url }]),
  )
  const database = openDatabase(databaseUrl)
  const needs = {
    metrics: callbackMetrics(createRegistry()),
    database,
    clock: new DatabaseClock(),
    workspaces: { find: (name: string) => workspaces.get(name), all: [...workspaces.values()] },
    logger,
  }
  const fetches = fetching({ ...needs, config: () => current, recording: recording(new Signal()) })
  const { worker, parts } = processing({
    ...needs,
    config: current,
    fetching: fetches,
    arrived: new Signal(),
    events: new Signal(),
    isHeldUp: () => false,
    hasAgent: () => false,
  })
  for (const part of parts) await part.start?.()
  return {
    get inFlight() {
      return fetches.slots.inFlight
    },
    arrived: (workspace: string): void => worker.arrived(workspace),
    stop: async (): Promise<void> => {
      for (const part of parts.toReversed()) await part.stop?.()
      await database.stop()
    },
  }
}
