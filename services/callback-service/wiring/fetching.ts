import { Rests } from '#foundation/lifecycle/rest.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import { fetchResult } from '../adapters/client-service/fetch-result.ts'
import { ObjectClient } from '../adapters/client-service/object-client.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { ObjectStore } from '../adapters/postgres/object-store.ts'
import type { Config } from '../config.ts'
import { CircuitBreaker } from '../domain/fetching/circuit-breaker.ts'
import { ObjectFetcher } from '../domain/fetching/object-fetcher.ts'
import { SharedFetches } from '../domain/fetching/shared-fetches.ts'
import { RightMissingError } from '../domain/storage-errors.ts'
import { DEFAULT_WORKSPACE } from '../domain/workspaces/workspace.ts'
import type { CallbackMetrics } from '../metrics.ts'

interface Needs {
  /** Returns the current settings. Some of them change while the service runs. */
  readonly config: () => Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly clock: DatabaseClock
  readonly logger: Logger
}

/** The parts that fetch objects from the client service and store them. */
export interface Fetching {
  readonly store: ObjectStore
  readonly fetcher: ObjectFetcher
  readonly breaker: CircuitBreaker
  readonly sharedFetches: SharedFetches
  /** Emitted when requests may leave again earlier than the breaker said. */
  readonly resumed: Signal
  /** Ends all requests under way, and lets no more begin. */
  interrupt(): Promise<void>
}

export function fetching({ config: current, metrics, database, clock, logger }: Needs): Fetching {
  const config = current()
  const { keepOffline } = config.objects
  const storing = new TroubleLog(logger, { began: 'objects are not stored', ended: 'objects are stored again' })
  const store = new ObjectStore({
    prisma: database.prisma,
    clock,
    ttlSeconds: () => current().expiry.ttlSeconds,
    onStored: (count, seconds) => {
      storing.end()
      metrics.stored.inc(count)
      metrics.storeSeconds.observe(seconds)
    },
  })
  const client = new ObjectClient({ ...config.clientService, timeoutMs: () => current().fetch.timeoutMs })
  const resumed = new Signal()
  const breaker = new CircuitBreaker({
    objects: config.fetch.breakerObjects,
    openMs: config.fetch.breakerOpenMs,
    maxOpenMs: config.fetch.breakerMaxOpenMs,
    maxPauseMs: config.fetch.maxRetryAfterMs,
    onResumed: () => resumed.emit(),
    nowMs: () => performance.now(),
  })
  const fetcher = new ObjectFetcher({
    source: client,
    breaker,
    onFetched: (result, seconds) => metrics.fetched.observe({ result: fetchResult(result) }, seconds),
    concurrency: config.fetch.concurrency,
    maxTries: config.fetch.maxTries,
    backoff: { baseMs: config.fetch.retryBaseMs, maxMs: config.fetch.timeoutMs },
    maxHoldMs: config.fetch.maxHoldMs,
    databaseNowMs: () => clock.nowMs(),
    nowMs: () => performance.now(),
    rests: new Rests(),
    holds: new Rests(),
    random: Math.random,
  })
  resumed.on(() => fetcher.resume())
  const sharedFetches = new SharedFetches({
    fetcher,
    store: {
      upsert: (object, callbackId) =>
        store.upsert(object, { id: callbackId, workspace: DEFAULT_WORKSPACE }).catch(error => {
          if (error instanceof RightMissingError) storing.tell(error.message)
          throw error
        }),
    },
    keepOffline,
    onShared: (id, answer, sinceMs) => {
      metrics.shared.inc()
      client.shared(id, answer, sinceMs)
    },
  })
  return {
    store,
    fetcher,
    breaker,
    sharedFetches,
    resumed,
    interrupt: async () => {
      fetcher.stop()
      await client.stop()
    },
  }
}
