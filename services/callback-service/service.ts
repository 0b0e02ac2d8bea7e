import { heapSampling } from '#foundation/admin-profiles.ts'
import { adminServer } from '#foundation/admin-server.ts'
import { HEALTH_PATHS, healthRoutes } from '#foundation/health.ts'
import { HttpServer } from '#foundation/http-server.ts'
import { httpTelemetry } from '#foundation/http-telemetry.ts'
import type { Part } from '#foundation/lifecycle.ts'
import { Loop } from '#foundation/loop.ts'
import { createRegistry, httpMetrics } from '#foundation/metrics.ts'
import { Rests } from '#foundation/rest.ts'
import type { ServiceContext } from '#foundation/run.ts'
import { Telemetry } from '#foundation/telemetry.ts'
import { migrate } from '#prisma/migrate.ts'
import { CallbackClaims } from './adapters/callback-claims.ts'
import { newCallbackId } from './adapters/callback-id.ts'
import { CallbackInbox } from './adapters/callback-inbox.ts'
import { findCallback } from './adapters/callback-reader.ts'
import { CallbackSpool } from './adapters/callback-spool.ts'
import { Database } from './adapters/database.ts'
import { DatabaseClock } from './adapters/database-clock.ts'
import { ObjectClient } from './adapters/object-client.ts'
import { ObjectStore } from './adapters/object-store.ts'
import { storageProbe } from './adapters/schema.ts'
import { SenderSignature } from './adapters/sender-signature.ts'
import { WorkerSession } from './adapters/worker-session.ts'
import { callbackApp } from './api/app.ts'
import { callbackRoutes } from './api/callback.ts'
import { readCallbackRoutes } from './api/read-callbacks.ts'
import { readObjectRoutes } from './api/read-objects.ts'
import type { schema } from './config.ts'
import { acceptDurably } from './domain/acceptance.ts'
import { Backlog } from './domain/backlog.ts'
import { CircuitBreaker } from './domain/circuit-breaker.ts'
import { claimable } from './domain/claimable.ts'
import { ObjectRefresher } from './domain/object-refresher.ts'
import { crashed, refreshObjects } from './domain/refresh-objects.ts'
import { isStorageTrouble } from './domain/storage-errors.ts'
import { callbackMetrics, liveGauges } from './metrics.ts'
import { CallbackPruner } from './workers/callback-pruner.ts'
import { CallbackWorker } from './workers/callback-worker.ts'
import { ClaimWatch } from './workers/claim-watch.ts'
import { databaseMigration } from './workers/database-migration.ts'
import { ObjectExpirer } from './workers/object-expirer.ts'
import { SpoolDrain } from './workers/spool-drain.ts'
import { StorageWatch } from './workers/storage-watch.ts'

/** Counting goes through every row: it takes at most a hundredth of the time, so a million rows are counted less often. */
const GAUGE_INTERVAL_MS = 2000
const GAUGE_REST = 100

/** Joins the rooms. @returns what starts, in order; reversed, what stops */
export function parts({ settings, logger }: ServiceContext<typeof schema>): Part[] {
  const config = settings.current
  const registry = createRegistry()
  const metrics = callbackMetrics(registry)

  const telemetry = new Telemetry({ serviceName: 'callback-service', ...config.tracing, logger })
  const acceptDatabase = new Database({
    name: 'accept',
    url: config.database.url,
    maxConnections: config.database.acceptConnections,
    connectTimeoutMs: 1000,
    queryTimeoutMs: config.accept.timeoutMs,
    logger,
  })
  const workDatabase = new Database({
    name: 'work',
    url: config.database.url,
    maxConnections: config.database.workConnections,
    connectTimeoutMs: 2000,
    queryTimeoutMs: 5000,
    logger,
  })
  const storage = new StorageWatch({ probe: storageProbe(acceptDatabase.prisma), logger })
  const session = new WorkerSession({ url: config.database.url, leaseMs: config.claims.leaseMs, logger })

  const clock = new DatabaseClock()
  const inbox = new CallbackInbox({
    prisma: acceptDatabase.prisma,
    ...config.accept,
    timeoutMs: config.spool.path === '' ? config.accept.timeoutMs : config.spool.patienceMs,
    maxInFlight: config.accept.maxCommits,
    onCommit: (size, seconds) => {
      metrics.commitSize.observe(size)
      metrics.commitSeconds.observe(seconds)
      worker.wake()
    },
  })
  const spool =
    config.spool.path === ''
      ? undefined
      : new CallbackSpool({
          ...config.accept,
          ...config.spool,
          timeoutMs: config.accept.timeoutMs - config.spool.patienceMs,
          nowMs: () => clock.nowMs(),
          onKept: (count, seconds) => {
            metrics.spooled.inc(count)
            metrics.spoolSeconds.observe(seconds)
          },
          logger,
        })
  const spoolDrain =
    spool &&
    new SpoolDrain({
      spool,
      takeOver: rows => inbox.takeOver(rows),
      onDrained: count => {
        metrics.drained.inc(count)
        worker.wake()
      },
      logger,
    })
  const backlog = new Backlog({ max: config.inbox.maxBacklog, nowMs: () => performance.now() })
  const claims = new CallbackClaims({ prisma: workDatabase.prisma, clock })
  const store = new ObjectStore({
    prisma: workDatabase.prisma,
    ttlSeconds: () => settings.current.expiry.ttlSeconds,
    onStored: (count, seconds) => {
      metrics.stored.inc(count)
      metrics.storeSeconds.observe(seconds)
    },
  })
  const client = new ObjectClient({ url: config.clientService.url, timeoutMs: () => settings.current.fetch.timeoutMs })

  const breaker = new CircuitBreaker({
    failureThreshold: config.fetch.breakerFailures,
    openMs: config.fetch.breakerOpenMs,
    maxOpenMs: config.fetch.breakerMaxOpenMs,
    maxPauseMs: config.fetch.maxRetryAfterMs,
    nowMs: () => performance.now(),
  })
  const refresher = new ObjectRefresher({
    source: client,
    store,
    breaker,
    observer: {
      fetched: (result, seconds) => metrics.fetched.observe({ result }, seconds),
      shared: (id, handle, sinceMs) => {
        metrics.shared.inc()
        client.shared(id, handle, sinceMs)
      },
    },
    concurrency: config.fetch.concurrency,
    maxTries: config.fetch.maxTries,
    backoff: { baseMs: config.fetch.retryBaseMs, maxMs: config.fetch.timeoutMs },
    maxHoldMs: config.fetch.maxHoldMs,
    keepOffline: config.objects.keepOffline,
    databaseNowMs: () => clock.nowMs(),
    rests: new Rests(),
    random: Math.random,
  })
  const policy = {
    maxAttempts: config.process.maxAttempts,
    backoff: { baseMs: config.process.retryBaseMs, maxMs: config.process.retryMaxMs },
    random: Math.random,
  }
  const worker = new CallbackWorker({
    claims,
    worker: () => session.worker,
    // What lies on one disk is brought to safety before anything is worked on.
    room: running =>
      spool?.isInUse ? undefined : claimable({ running, maxRunning: config.process.maxRunning, requests: refresher, breaker }),
    process: callback => refreshObjects(callback, (id, by) => refresher.refresh(id, by), policy),
    crashed: callback => crashed(callback, policy),
    interrupt: async () => {
      refresher.stop()
      await client.stop()
    },
    pollMs: config.process.pollMs,
    onClaimed: callback => {
      if (callback.attempt === 1) metrics.queueSeconds.observe(Math.max(0, clock.nowMs() - callback.receivedAtMs) / 1000)
    },
    onSettled: verdict => metrics.settled.inc({ state: verdict.state }),
    logger,
  })
  const claimWatch = new ClaimWatch({
    takeOver: number => claims.takeOver(number),
    worker: () => session.worker,
    intervalMs: config.claims.takeOverMs,
    onTakenOver: count => {
      metrics.takenOver.inc(count)
      worker.wake()
    },
    logger,
  })
  const expirer = new ObjectExpirer({
    store,
    onExpired: latenessMs => {
      metrics.expired.inc(latenessMs.length)
      for (const ms of latenessMs) metrics.lateness.observe(Math.max(0, ms) / 1000)
    },
    logger,
  })
  const pruner = new CallbackPruner({ prune: limit => claims.prune(config.callbacks.retentionSeconds, limit), logger })
  const gauges = new Loop({
    name: 'count rows',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const started = performance.now()
      const unfinished = await claims.countUnfinished()
      backlog.count(unfinished)
      metrics.backlog.set(unfinished)
      metrics.live.set(await store.count())
      return Math.max(GAUGE_INTERVAL_MS, GAUGE_REST * (performance.now() - started))
    },
  })
  liveGauges(registry, {
    fetches_in_flight: ['Requests to the client service under way.', () => refresher.inFlight],
    fetches_waiting: ['Requests to the client service that wait for one under way to end.', () => refresher.waiting],
    callbacks_running: ['Callbacks this process works on.', () => worker.running],
    accept_waiting: ['Callbacks that wait for a commit.', () => inbox.waiting],
    spool_callbacks: ['Callbacks in the spool, waiting for the database.', () => spool?.callbacks ?? 0],
    spool_bytes: ['Bytes of callbacks in the spool.', () => spool?.bytes ?? 0],
  })

  const http: HttpServer = new HttpServer({
    name: 'http',
    ...config.http,
    drainMs: config.shutdown.delayMs,
    logger,
    handler: callbackApp({
      telemetry: httpTelemetry({ logger, observe: httpMetrics(registry), isTraced: path => !HEALTH_PATHS.has(path) }),
      routes: [
        callbackRoutes({
          inbox: {
            accept: async callback => {
              backlog.requireRoom()
              const accepted = await acceptDurably({ ...callback, id: newCallbackId(callback.idempotencyKey) }, { inbox, spool })
              if (!accepted.isReplay) backlog.accepted()
              return accepted
            },
          },
          signature: config.senders.secrets === '' ? undefined : new SenderSignature(config.senders.secrets.trim().split(/\s+/)),
          ...config.accept,
          isShuttingDown: () => http.isClosed,
          onReceived: outcome => metrics.received.inc({ outcome }),
        }),
        healthRoutes([
          { name: 'database', problem: () => storage.problem },
          ...(spool ? [{ name: 'spool', problem: () => undefined, note: () => `${spool.callbacks} callbacks wait for the database` }] : []),
          { name: 'shutdown', problem: () => (http.isDraining ? 'the service is shutting down' : undefined) },
        ]),
        readCallbackRoutes(async id => (await spool?.find(id)) ?? findCallback(workDatabase.prisma, id)),
        readObjectRoutes(store),
      ],
      logger,
    }),
  })
  const admin = adminServer({ ...config.admin, registry, settings, logger })

  settings.onChange(next => {
    refresher.concurrency = next.fetch.concurrency
    telemetry.setSampleRatio(next.tracing.sampleRatio)
  })

  return [
    telemetry,
    heapSampling,
    acceptDatabase,
    workDatabase,
    ...(config.migrate.onStart ? [databaseMigration(() => migrate({ url: config.database.url, logger }), logger)] : []),
    storage,
    ...(spool && spoolDrain ? [spool, spoolDrain] : []),
    session,
    claimWatch,
    worker,
    expirer,
    pruner,
    gauges,
    admin,
    http,
  ]
}
