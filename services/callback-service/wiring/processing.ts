import type { Part } from '#foundation/lifecycle/parts.ts'
import { Rests } from '#foundation/lifecycle/rest.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import { fetchResult } from '../adapters/client-service/fetch-result.ts'
import { ObjectClient } from '../adapters/client-service/object-client.ts'
import { CallbackClaims } from '../adapters/postgres/callback-claims.ts'
import { ClockSteps } from '../adapters/postgres/clock-steps.ts'
import { readClusterState } from '../adapters/postgres/cluster-state.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { ObjectStore } from '../adapters/postgres/object-store.ts'
import { WorkerSession } from '../adapters/postgres/worker-session.ts'
import { type Config, sessionUrlOf } from '../config.ts'
import { CircuitBreaker } from '../domain/fetching/circuit-breaker.ts'
import { ObjectFetcher } from '../domain/fetching/object-fetcher.ts'
import { SharedFetches } from '../domain/fetching/shared-fetches.ts'
import { type ClaimQuota, claimQuota, withinTurn } from '../domain/processing/claim-quota.ts'
import { crashed, processCallback } from '../domain/processing/process-callback.ts'
import { Isolation } from '../domain/processing/suspicion.ts'
import { WorkerLiveness } from '../domain/processing/worker-liveness.ts'
import { RightMissingError } from '../domain/storage-errors.ts'
import type { CallbackMetrics } from '../metrics.ts'
import { CallbackWorker } from '../workers/callback-worker.ts'
import { claimWatch } from '../workers/claim-watch.ts'

/** A worker whose connection was cut has a new one by then. */
const SESSION_GRACE_MS = 500

interface Needs {
  /** As it is now: some of it changes while the service runs. */
  readonly config: () => Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly clock: DatabaseClock
  readonly logger: Logger
  /** Whether nothing is to be claimed for the moment. */
  readonly isHeldUp: () => boolean
}

/** What works on callbacks: claims them, fetches their objects and has these stored. */
export interface Processing {
  readonly session: WorkerSession
  readonly claims: CallbackClaims
  readonly store: ObjectStore
  readonly fetcher: ObjectFetcher
  readonly worker: CallbackWorker
  readonly parts: readonly Part[]
}

/** Joins what works on callbacks. */
export function processing({ config: current, metrics, database, clock, logger, isHeldUp }: Needs): Processing {
  const config = current()
  const session = new WorkerSession({
    url: sessionUrlOf(config),
    keepsSessions: config.database.sessionUrl !== '',
    leaseMs: config.claims.leaseMs,
    logger,
  })
  const { maxCrashes } = config.process
  const { keepOffline } = config.objects
  const claims = new CallbackClaims({ prisma: database.prisma, clock, maxCrashes, keepOffline })
  const storing = new TroubleLog(logger, { began: 'objects are not stored', ended: 'objects are stored again' })
  const store = new ObjectStore({
    prisma: database.prisma,
    clock,
    ttlSeconds: () => current().expiry.ttlSeconds,
    keepOffline,
    onStored: (count, seconds) => {
      storing.end()
      metrics.stored.inc(count)
      metrics.storeSeconds.observe(seconds)
    },
  })
  const client = new ObjectClient({ ...config.clientService, timeoutMs: () => current().fetch.timeoutMs })
  const breaker = new CircuitBreaker({
    objects: config.fetch.breakerObjects,
    openMs: config.fetch.breakerOpenMs,
    maxOpenMs: config.fetch.breakerMaxOpenMs,
    maxPauseMs: config.fetch.maxRetryAfterMs,
    onResumed: () => {
      fetcher.resume()
      worker.wake()
    },
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
  const sharedFetches = new SharedFetches({
    fetcher,
    store: {
      upsert: (object, callbackId) =>
        store.upsert(object, callbackId).catch(error => {
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
  const policy = {
    maxAttempts: config.process.maxAttempts,
    maxCrashes,
    backoff: { baseMs: config.process.retryBaseMs, maxMs: config.process.retryMaxMs },
    random: Math.random,
  }
  const isolation = new Isolation({ probationMs: config.process.probationMs, maxCrashes, ageMs: () => performance.now() })
  const quotaFor = (running: number): ClaimQuota | undefined => {
    const quota = isHeldUp() ? undefined : claimQuota({ running, maxRunning: config.process.maxRunning, requests: fetcher, breaker })
    return quota && withinTurn(quota, isolation.turn(running))
  }
  const worker = new CallbackWorker({
    claims,
    worker: () => session.worker,
    quota: quotaFor,
    process: callback => processCallback(callback, (id, by) => sharedFetches.fetch(id, by), policy),
    crashed: callback => crashed(callback, policy),
    interrupt: async () => {
      fetcher.stop()
      await client.stop()
    },
    pollMs: config.process.pollMs,
    onClaimed: callback => {
      if (callback.attempt === 1) metrics.queueSeconds.observe(callback.waitedMs / 1000)
    },
    onSettled: verdict => metrics.settled.inc({ state: verdict.state }),
    logger,
  })
  const steps = new ClockSteps({ prisma: database.prisma, clock, logger })
  const watch = claimWatch({
    look: async () => {
      const state = await readClusterState(database.prisma, { clock, maxCrashes })
      await steps.makeUp(state.clockStep)
      isolation.noteSuspects(state.suspectCrashes)
      return state.workers
    },
    liveness: new WorkerLiveness({
      graceMs: SESSION_GRACE_MS,
      intervalMs: config.claims.takeOverMs,
      nowMs: () => performance.now(),
    }),
    takeOver: (number, dead) => claims.takeOver(number, dead),
    worker: () => session.worker,
    intervalMs: config.claims.takeOverMs,
    onTakenOver: count => {
      metrics.takenOver.inc(count)
      worker.wake()
    },
    logger,
  })
  return { session, claims, store, fetcher, worker, parts: [session, watch, worker] }
}
