import { heapSampling } from '#foundation/admin/profiles.ts'
import { adminServer } from '#foundation/admin/server.ts'
import { cors } from '#foundation/http/cors.ts'
import { HEALTH_PATHS } from '#foundation/http/health.ts'
import { HttpServer } from '#foundation/http/server.ts'
import { httpTelemetry } from '#foundation/http/telemetry.ts'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { ServiceContext } from '#foundation/lifecycle/run.ts'
import { createRegistry, httpMetrics } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { migrate } from '#prisma/migrate.ts'
import { findCallback, listCallbacks } from './adapters/postgres/callback-reader.ts'
import { Database } from './adapters/postgres/database.ts'
import { DatabaseClock } from './adapters/postgres/database-clock.ts'
import { findObject, listObjects } from './adapters/postgres/object-reader.ts'
import { storageProbe } from './adapters/postgres/schema.ts'
import { SenderSignature } from './adapters/sender-signature.ts'
import { callbackApp } from './api/app.ts'
import { setAsideRoutes } from './api/callbacks/set-aside.ts'
import { countRefusals } from './api/gates/count-refusals.ts'
import { readLimit } from './api/gates/read-limit.ts'
import { refuseWhenFull } from './api/gates/refuse-when-full.ts'
import { PROBLEMS } from './api/problem-kinds.ts'
import { toProblem } from './api/problems.ts'
import { callbackServiceRoutes } from './api/routes.ts'
import { type Config, type schema, sessionUrlOf, warningsAbout } from './config.ts'
import { isStorageTrouble } from './domain/storage-errors.ts'
import { callbackMetrics, liveGauges } from './metrics.ts'
import { accepting } from './wiring/intake.ts'
import { refreshing } from './wiring/processing.ts'
import { CallbackPruner } from './workers/callback-pruner.ts'
import { databaseMigration } from './workers/database-migration.ts'
import { ObjectExpirer } from './workers/object-expirer.ts'
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
  const readDatabase = new Database({
    name: 'read',
    url: config.database.url,
    maxConnections: config.database.readConnections,
    connectTimeoutMs: config.read.timeoutMs,
    queryTimeoutMs: config.read.timeoutMs,
    logger,
  })
  const storage = new StorageWatch({ probe: storageProbe(acceptDatabase), logger })
  const clock = new DatabaseClock()
  const accept = accepting({
    config,
    metrics,
    database: acceptDatabase,
    clock,
    logger,
    onArrived: () => {
      storage.accepted()
      refresh.worker.wake()
    },
    onRefused: reason => storage.refused(reason),
  })
  const refresh = refreshing({
    config: () => settings.current,
    metrics,
    database: workDatabase,
    clock,
    logger,
    isHeldUp: () => accept.isDraining,
  })
  const { session, claims, store, fetcher, worker } = refresh
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
      accept.backlog.count(unfinished)
      metrics.backlog.set(unfinished)
      metrics.live.set(await store.count())
      return Math.max(GAUGE_INTERVAL_MS, GAUGE_REST * (performance.now() - started))
    },
  })
  liveGauges(registry, {
    ...accept.gauges,
    fetches_in_flight: ['Requests to the client service under way.', () => fetcher.inFlight],
    fetches_waiting: ['Requests to the client service that wait for one under way to end.', () => fetcher.waiting],
    http_connections: ['Open connections.', () => http.connections],
    worker_session: [
      'Whether this process holds its worker session, without which it works on nothing: 1 or 0.',
      () => Number(session.worker !== undefined),
    ],
    callbacks_running: ['Callbacks this process works on.', () => worker.running],
  })

  const readable = { prisma: readDatabase.prisma, keepOffline: config.objects.keepOffline }
  const limited = readLimit(config.read.maxRunning)
  // A list of callbacks may read the whole table: it never takes the last connection from reads of one callback or object.
  const limitedLists = readLimit(Math.max(1, Math.floor(config.database.readConnections / 2)))
  const isSpoolEnough = (): boolean => config.spool.keepsReady && accept.hasSpool
  const observe = httpMetrics(registry)
  const onReceived = (outcome: string): void => metrics.received.inc({ outcome })
  const app = callbackApp({
    telemetry: httpTelemetry({ logger, observe, isTraced: path => !HEALTH_PATHS.has(path) }),
    onReceived,
    routes: callbackServiceRoutes({
      accepting: {
        inbox: accept,
        signature: config.senders.secrets === '' ? undefined : new SenderSignature(config.senders.secrets.trim().split(/\s+/)),
        ...config.accept,
        isShuttingDown: () => http.isClosed,
        onReceived,
      },
      checks: [
        { name: 'database', problem: () => storage.problem, isDispensable: isSpoolEnough },
        // Who has worked before goes on accepting; a deployment that cannot work at all must not replace one that does.
        { name: 'worker', problem: () => session.problem, isDispensable: () => session.mayComeBack || isSpoolEnough() },
        ...accept.checks,
        { name: 'shutdown', problem: () => (http.isDraining ? 'the service is shutting down' : undefined) },
      ],
      callbacks: {
        find: id => limited(async () => (await accept.find(id)) ?? findCallback(readable.prisma, id)),
        list: (filter, page) => limitedLists(() => limited(() => listCallbacks(readable.prisma, filter, page))),
      },
      objects: {
        find: id => limited(() => findObject(readable, id)),
        list: (filter, page) => limited(() => listObjects(readable, filter, page)),
      },
    }),
    logger,
  })
  const http: HttpServer = new HttpServer({
    name: 'http',
    ...config.http,
    drainMs: config.shutdown.delayMs,
    logger,
    handler: cors(config.http.corsOrigins, refuseWhenFull({ inbox: accept, onReceived, observe, otherwise: app })),
    onRefused: countRefusals(observe, onReceived),
  })
  const admin = adminServer({
    ...config.admin,
    registry,
    settings,
    logger,
    routes: accept.setAside ? setAsideRoutes(accept.setAside, logger) : [],
    kinds: PROBLEMS,
    translate: toProblem,
  })

  const warn = (values: Config): void => {
    for (const warning of warningsAbout(values)) logger.warn({ reason: warning }, 'settings to think over')
  }
  warn(config)
  settings.onChange(next => {
    warn(next)
    fetcher.concurrency = next.fetch.concurrency
    telemetry.setSampleRatio(next.tracing.sampleRatio)
  })

  return [
    telemetry,
    heapSampling,
    acceptDatabase,
    workDatabase,
    readDatabase,
    ...(config.migrate.onStart ? [databaseMigration(signal => migrate({ url: sessionUrlOf(config), logger, signal }), logger)] : []),
    storage,
    ...accept.parts,
    ...refresh.parts,
    expirer,
    pruner,
    gauges,
    admin,
    http,
  ]
}
