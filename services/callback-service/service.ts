import { isRefusedHost } from '#fetching/client/allowed-addresses.ts'
import { heapSampling } from '#foundation/admin/profiles.ts'
import { adminServer } from '#foundation/admin/server.ts'
import { cors } from '#foundation/http/cors.ts'
import { HEALTH_PATHS } from '#foundation/http/health.ts'
import { HttpServer } from '#foundation/http/server.ts'
import { Shutdown } from '#foundation/http/shutdown.ts'
import { httpTelemetry } from '#foundation/http/telemetry.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { ServiceContext } from '#foundation/lifecycle/run.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry, httpMetrics } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { migrate } from '#prisma/migrate.ts'
import { findCallback, findFinishedCallbacks, listCallbacks } from './adapters/postgres/callback-reader.ts'
import { DatabaseClock } from './adapters/postgres/database-clock.ts'
import { durabilityCheck } from './adapters/postgres/durability.ts'
import { findObject, listObjects } from './adapters/postgres/object-reader.ts'
import { storageProbe } from './adapters/postgres/schema.ts'
import { SharedReads } from './adapters/postgres/shared-reads.ts'
import { callbackApp } from './api/app.ts'
import type { FindCallback } from './api/callbacks/get-callback.ts'
import { setAsideRoutes } from './api/callbacks/set-aside.ts'
import { callbacksFirst } from './api/gates/callbacks-first.ts'
import { countRefusals } from './api/gates/count-refusals.ts'
import { readLimit, turnLimit } from './api/gates/read-limit.ts'
import { refuseWhenFull } from './api/gates/refuse-when-full.ts'
import { PROBLEMS } from './api/problem-kinds.ts'
import { toProblem } from './api/problems.ts'
import { callbackServiceRoutes } from './api/routes.ts'
import { getTraffic } from './api/traffic/get-traffic.ts'
import { type Config, type schema, sessionUrlOf } from './config.ts'
import { warningsAbout } from './config-checks.ts'
import type { CallbackEvent } from './domain/callback-event.ts'
import { callbackMetrics, liveGauges } from './metrics.ts'
import { access } from './wiring/access.ts'
import { activity } from './wiring/activity.ts'
import { agentRooms } from './wiring/agents.ts'
import { databases } from './wiring/databases.ts'
import { fetching } from './wiring/fetching.ts'
import { housekeeping } from './wiring/housekeeping.ts'
import { intake } from './wiring/intake.ts'
import { leaseUse } from './wiring/lease-use.ts'
import { leases } from './wiring/leases.ts'
import { ledger } from './wiring/ledger.ts'
import { operationRooms } from './wiring/operations.ts'
import { livePage } from './wiring/page.ts'
import { processing } from './wiring/processing.ts'
import { recording } from './wiring/recording.ts'
import { steering } from './wiring/steering.ts'
import { streaming } from './wiring/streaming.ts'
import { traffic } from './wiring/traffic.ts'
import { workspaceRooms } from './wiring/workspaces.ts'
import { CallbackWaiters } from './workers/callback-waiters.ts'
import { databaseMigration } from './workers/database-migration.ts'
import { StorageWatch } from './workers/storage-watch.ts'

/** Joins the rooms of the callback service. @returns the parts in the order in which they start; they stop in reverse order */
export function parts({ settings, logger }: ServiceContext<typeof schema>): Part[] {
  const config = settings.current
  const registry = createRegistry()
  const metrics = callbackMetrics(registry)

  const telemetry = new Telemetry({ serviceName: 'callback-service', ...config.tracing, logger })
  const { accept, work, read } = databases({ config, logger })
  const storage = new StorageWatch({ probe: storageProbe(accept), logger })
  const clock = new DatabaseClock()
  const arrived = new Signal<string>()
  const events = new Signal<CallbackEvent>()
  events.on(event => metrics.onEvent(event))
  arrived.on(() => storage.accepted())
  const inbox = intake({
    config,
    metrics,
    database: accept,
    clock,
    arrived,
    events,
    onRefused: reason => storage.refused(reason),
    isHeldUp: name => inbox.isSpoolDraining || isHeldUp(name),
    logger,
  })
  const limited = readLimit(config.read.maxRunning)
  const waiters = new CallbackWaiters({
    max: config.accept.maxWaiters,
    findFinished: ids => findFinishedCallbacks(read.prisma, ids),
    logger,
  })
  events.on(event => waiters.onEvent(event))
  const afterWaits = new SharedReads({ prisma: read.prisma, timeoutMs: 2 * config.read.timeoutMs })
  const { directory, changes, changing, workspaces, keys, parts: workspaceParts } = workspaceRooms({ config, work, read, limited, logger })
  const recorded = recording(events)
  const fetches = fetching({
    config: () => settings.current,
    metrics,
    database: work,
    clock,
    workspaces: directory,
    recording: recorded,
    logger,
  })
  const {
    session,
    worker,
    replicas,
    isHeldUp,
    parts: processingParts,
  } = processing({
    config,
    database: work,
    clock,
    fetching: fetches,
    workspaces: directory,
    arrived,
    events,
    // Without the workspaces, the worker would fetch from the wrong client service, and claim for a paused workspace.
    isHeldUp: () => inbox.isSpoolDraining || !directory.hasRead,
    hasAgent: workspace => isAnyAlive(workspace),
    logger,
  })
  const { operations, runner } = operationRooms({
    config,
    work,
    read,
    limited,
    onDue: workspace => (directory.find(workspace)?.fetcher === 'agents' ? leasing.desk : worker).arrived(workspace),
    backlogs: inbox.backlogs,
    workspaces: directory,
    logger,
  })
  const { stream, sockets, poller } = streaming({ config, read, hasWorkspace: name => directory.find(name) !== undefined, logger })
  const { gate, pageGate, usages, ...callers } = access({
    config,
    directory,
    clock,
    replicas,
    waitSeconds: (workspace, max) => inbox.backlogs.waitSeconds(workspace, max),
    logger,
  })
  const readable = { prisma: read.prisma, keepOffline: (name: string) => directory.find(name)?.keepOffline ?? config.objects.keepOffline }
  // A list may read a whole table. It must leave a connection to reads of one callback or object.
  const listed = turnLimit(Math.max(1, Math.floor(config.database.readConnections / 2)))
  const traffics = traffic({ config, read, clock, listed, directory, usages, replicas, logger })
  const { reader: ledgerReader, parts: ledgerParts } = ledger({
    config,
    work,
    read,
    clock,
    events,
    listed: (workspace, run) => listed(workspace, () => limited(run)),
    logger,
  })
  // Changes use the connections of the workers. Those of a callback that somebody has locked must leave some.
  const inTurn = turnLimit(Math.max(1, Math.floor(config.database.workConnections / 3)))
  const steered = steering({ database: work, read, inbox, arrived, events, limited, inTurn, waitingInTurn: turnLimit(1), logger })
  const {
    agents,
    activity: agentActivity,
    isAnyAlive,
    parts: agentParts,
  } = agentRooms({
    ...{ work, read, changes, changing, directory, inbox, arrived, events, limited, inTurn, logger },
    listed,
  })
  const leasing = leases({
    ...{ config, metrics, database: work, directory, activity: agentActivity, arrived, events, logger },
    isHeldUp: () => inbox.isSpoolDraining,
  })
  const find: FindCallback = (workspace, id) =>
    limited(async () => (await inbox.find(workspace, id)) ?? findCallback(read.prisma, workspace, id))
  const isSpoolEnough = (): boolean => config.spool.keepsReady && inbox.hasSpool
  const observe = httpMetrics(registry)
  const onReceived = (outcome: string, workspace: string, tookMs?: number): void =>
    events.emit({ event: 'answered', outcome, workspace, tookMs })
  const shutdown = new Shutdown()
  const routes = callbackServiceRoutes({
    accepting: {
      inbox,
      waiters,
      ...callers,
      ...config.accept,
      shutdown,
      onReceived,
    },
    checks: [
      { name: 'database', problem: () => storage.problem, note: () => storage.weakness, isDispensable: isSpoolEnough },
      // A replica that has worked before may go on accepting. A deployment that cannot work at all must not replace one that works.
      { name: 'worker', problem: () => session.problem, isDispensable: () => session.mayComeBack || isSpoolEnough() },
      ...inbox.checks,
      // Known keys work while the database is away, so a replica with old ones goes on accepting. One that never knew any must not replace it.
      { name: 'access', problem: () => directory.problem, isDispensable: () => directory.isLoaded || isSpoolEnough() },
      { name: 'shutdown', problem: () => (shutdown.isDraining ? 'the service is shutting down' : undefined) },
    ],
    callbacks: {
      find,
      findAfterWait: async (workspace, id) => (await inbox.find(workspace, id)) ?? afterWaits.find(workspace, id),
      list: (filter, page) => listed(filter.workspace, () => limited(() => listCallbacks(read.prisma, filter, page))),
    },
    steering: steered,
    objects: {
      find: (workspace, id) => limited(() => findObject(readable, workspace, id)),
      list: (filter, page) => listed(filter.workspace, () => limited(() => listObjects(readable, filter, page))),
    },
    operations,
    leasing: leasing.routes,
    leases: leaseUse({
      config,
      database: work,
      clock,
      store: fetches.upsert,
      workspaces: directory,
      activity: agentActivity,
      arrived,
      events,
      logger,
    }),
    ledger: ledgerReader,
    stream,
    workspaces,
    keys,
    agents,
    isAllowedUrl: url => config.clientService.allowLinkLocal || !isRefusedHost(url),
    isOpen: callers.isOpen,
  })
  const app = callbackApp({
    telemetry: httpTelemetry({ logger, observe, isTraced: path => !HEALTH_PATHS.has(path) }),
    onReceived,
    gate,
    routes,
    logger,
  })
  const http = new HttpServer({
    name: 'http',
    ...config.http,
    drainMs: config.shutdown.delayMs,
    shutdown,
    hasWebSockets: true,
    logger,
    handler: callbacksFirst(cors(config.http.corsOrigins, refuseWhenFull({ inbox, onReceived, observe, otherwise: app }))),
    onRefused: countRefusals(observe, onReceived),
  })
  const seen = activity({
    config: () => settings.current,
    recording: recorded,
    events,
    storage,
    session,
    worker,
    replicas,
    inbox,
    fetching: fetches,
    workspaces: directory,
    isAnyAlive,
    telemetry,
    shutdown,
    clock,
    find,
    nowMs: () => performance.now(),
    counts: () => ({ streamsOpen: sockets.count, httpConnections: http.connections, requestsWaiting: waiters.count }),
    logger,
  })
  liveGauges(registry, {
    accept_waiting: () => inbox.waiting,
    requests_waiting: () => waiters.count,
    spool_callbacks: () => inbox.spool?.callbacks ?? 0,
    spool_set_aside: () => inbox.spool?.setAsideCount ?? 0,
    spool_bytes: () => inbox.spool?.bytes ?? 0,
    fetches_in_flight: () => fetches.slots.inFlight,
    fetches_waiting: () => fetches.slots.waiting,
    http_connections: () => http.connections,
    stream_clients: () => sockets.count,
    worker_session: () => Number(session.workerNumber !== undefined),
    callbacks_running: () => worker.running,
    agent_polls_waiting: () => leasing.desk.waiting,
  })
  const keeping = housekeeping({
    config,
    metrics,
    database: work,
    clock,
    store: fetches.store,
    inbox,
    workspaces: directory,
    recording: recorded,
    onCallbacks: counts => {
      seen.countedCallbacks(counts)
      traffics.counted(counts)
    },
    onUnsuited: unsuited => seen.foundUnsuited(unsuited),
    onObjects: live => seen.countedObjects(live),
    logger,
  })
  const page = livePage({
    config,
    routes,
    more: [getTraffic(traffics.readTraffic), ...seen.routes],
    keyed: pageGate,
    isOpen: callers.isOpen,
    onReceived,
  })
  const admin = adminServer({
    ...config.admin,
    ...page.admin,
    maxConnections: config.http.maxConnections,
    registry,
    settings,
    logger,
    routes: [...(inbox.setAside ? setAsideRoutes(inbox.setAside, logger) : []), ...page.admin.routes],
    hasWebSockets: true,
    kinds: PROBLEMS,
    translate: toProblem,
  })

  const warn = (values: Config): void => {
    for (const warning of warningsAbout(values)) logger.warn({ reason: warning }, 'settings need attention')
  }
  warn(config)
  settings.onChange(next => {
    warn(next)
    fetches.slots.concurrency = next.fetch.concurrency
    telemetry.setSampleRatio(next.tracing.sampleRatio)
  })

  return [
    telemetry,
    heapSampling,
    ...(config.database.durability === 'none' ? [durabilityCheck(config.database.url)] : []),
    accept,
    work,
    read,
    ...(config.migrate.onStart ? [databaseMigration(signal => migrate({ url: sessionUrlOf(config), logger, signal }), logger)] : []),
    storage,
    // The spool first: it makes the folder that the snapshot of the keys is in, and flushes what it makes.
    ...inbox.parts,
    ...workspaceParts,
    ...agentParts,
    ...processingParts,
    ...leasing.parts,
    runner,
    ...keeping,
    ...ledgerParts,
    seen.sampler,
    poller,
    traffics.poller,
    waiters.looking,
    ...page.parts,
    admin,
    http,
    // They stop before the port drains, so that the drain does not wait for those that wait.
    waiters,
    steered.waiting,
    leasing.desk,
    sockets,
    telemetry.sending,
  ]
}
