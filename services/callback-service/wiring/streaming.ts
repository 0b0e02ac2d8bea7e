import { WebSockets } from '#foundation/http/web-sockets.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { CallbackChanges } from '../adapters/postgres/callback-changes.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { StreamOptions } from '../api/stream/get-stream.ts'
import type { Config } from '../config.ts'
import { ChangePoller } from '../workers/change-poller.ts'

/** Joins what says which callbacks change: the poller and the WebSockets. */
export function streaming(options: {
  readonly config: Config
  readonly read: Database
  readonly hasWorkspace: StreamOptions['hasWorkspace']
  readonly logger: Logger
}): { readonly stream: StreamOptions; readonly sockets: WebSockets; readonly poller: Part } {
  const { config, read, hasWorkspace, logger } = options
  // Half of the connections stay for senders.
  const sockets = new WebSockets({ max: Math.min(config.stream.maxClients, Math.floor(config.http.maxConnections / 2)) })
  const poller = new ChangePoller({
    source: new CallbackChanges(read),
    retentionMs: () => config.callbacks.retentionSeconds * 1000,
    logger,
  })
  const stream: StreamOptions = { sockets, listen: listener => poller.listen(listener), hasWorkspace, origins: config.http.corsOrigins }
  return { stream, sockets, poller }
}
