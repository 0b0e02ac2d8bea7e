import type { Outcome } from '#fetching/outcome.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import { CallbackClaims } from '../adapters/postgres/callback-claims.ts'
import { ClockSteps } from '../adapters/postgres/clock-steps.ts'
import { readClusterState } from '../adapters/postgres/cluster-state.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { dueWorkspaces } from '../adapters/postgres/due-workspaces.ts'
import { WorkerSession } from '../adapters/postgres/worker-session.ts'
import { type Config, sessionUrlOf } from '../config.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import type { ClaimQuota, ClaimRoom, SuspectGroup } from '../domain/processing/claim-quota.ts'
import { ClaimTurns } from '../domain/processing/claim-turns.ts'
import { crashed, processCallback } from '../domain/processing/process-callback.ts'
import { Isolation } from '../domain/processing/suspicion.ts'
import { UnknownWorkspaces } from '../domain/processing/unknown-workspaces.ts'
import { WorkerLiveness } from '../domain/processing/worker-liveness.ts'
import { CallbackWorker } from '../workers/callback-worker.ts'
import { claimWatch } from '../workers/claim-watch.ts'
import type { Fetching, Workspaces } from './fetching.ts'

/** Time a worker may be without its lock before it counts as dead. A worker whose connection was cut gets a new one within this time. */
const SESSION_GRACE_MS = 500

/** A suspect may belong to a workspace that this process does not know yet. It goes back to the inbox. */
const UNKNOWN = {
  sharedFetches: { fetch: async (): Promise<Outcome> => ({ kind: 'pending', reason: 'workspace_unknown', isCharged: false }) },
}

interface Needs {
  readonly config: Config
  readonly database: Database
  readonly clock: DatabaseClock
  readonly fetching: Fetching
  readonly workspaces: Workspaces
  /** Emitted when there are new callbacks in the inbox. */
  readonly arrived: Signal<string>
  /** Tells what happens to callbacks. */
  readonly events: Signal<CallbackEvent>
  /** Whether the worker must not claim now. */
  readonly isHeldUp: () => boolean
  /** Whether a workspace has an agent that is alive. */
  readonly hasAgent: (workspace: string) => boolean
  readonly logger: Logger
}

/** The parts that work on callbacks: they claim them, fetch their objects, and settle them. */
export interface Processing {
  readonly session: WorkerSession
  readonly worker: CallbackWorker
  /** Number of replicas that live, this one included. */
  readonly replicas: () => number
  /** Whether nobody can work on the callbacks of a workspace now. */
  readonly isHeldUp: (workspace: string) => boolean
  readonly parts: readonly Part[]
}

export function processing({
  config,
  database,
  clock,
  fetching,
  workspaces,
  arrived,
  events,
  isHeldUp,
  hasAgent,
  logger,
}: Needs): Processing {
  const { slots, resumed, interrupt } = fetching
  const { maxAttempts, maxCrashes, maxRunning, pollMs, probationMs, retryBaseMs, retryMaxMs } = config.process
  const session = new WorkerSession({
    url: sessionUrlOf(config),
    keepsSessions: config.database.sessionUrl !== '',
    leaseMs: config.claims.leaseMs,
    logger,
  })
  const claims = new CallbackClaims({ prisma: database.prisma, clock, maxCrashes, keepOffline: config.objects.keepOffline })
  const policy = { maxAttempts, maxCrashes, backoff: { baseMs: retryBaseMs, maxMs: retryMaxMs }, random: Math.random }
  const isolation = new Isolation({ probationMs, maxCrashes, ageMs: () => performance.now() })
  const turns = new ClaimTurns({
    find: name => {
      const workspace = workspaces.find(name)
      const breaker = fetching.of(name)?.breaker
      return workspace && breaker && { isPaused: workspace.isPaused || workspace.fetcher === 'agents', weight: workspace.weight, breaker }
    },
    requests: slots,
    maxRunning,
  })
  /** Whether this service fetches the objects of a workspace. Otherwise agents lease its callbacks. */
  const isOurs = (name: string): boolean => workspaces.find(name)?.fetcher !== 'agents'
  const reportUnknown = unknownReporter(workspaces, logger)
  const excluded = (): string[] =>
    workspaces.all
      .filter(({ name, isPaused, fetcher }) => isPaused || fetcher === 'agents' || (fetching.breakerOf(name)?.waitMs ?? 0) > 0)
      .map(({ name }) => name)
  const isProbing = (): boolean => workspaces.all.some(({ name }) => fetching.breakerOf(name)?.state === 'half-open')
  const suspects = (room: ClaimRoom, turn: { readonly crashes: number; readonly callbacks: number }): SuspectGroup => ({
    crashes: turn.crashes,
    callbacks: isProbing() ? 1 : Math.min(room.callbacks, turn.callbacks),
    objects: room.objects,
    excluded: excluded(),
  })
  const quotaFor = (running: number): ClaimQuota | undefined => {
    if (isHeldUp()) return undefined
    const turn = isolation.turn(running)
    if (turn.take === 'nothing') return undefined
    if (turn.take === 'suspects') return turns.room && { suspects: suspects(turns.room, turn) }
    const shares = turns.shares()
    return shares && { shares, suspectsWait: turn.suspectsWait }
  }
  const worker = new CallbackWorker({
    claims,
    workerNumber: () => session.workerNumber,
    quota: quotaFor,
    turns,
    survey: async () => {
      const due = await dueWorkspaces(database.prisma, { maxCrashes })
      if (!isHeldUp()) reportUnknown(due)
      return due.filter(isOurs)
    },
    process: (callback, recall) => {
      const { sharedFetches } = fetching.of(callback.workspace) ?? UNKNOWN
      return processCallback(callback, (id, by) => recall.orEarlier(sharedFetches.fetch(id, by, recall)), policy)
    },
    crashed: callback => crashed(callback, policy),
    interrupt,
    pollMs,
    emit: event => events.emit(event),
    logger,
  })
  arrived.on(workspace => {
    if (isOurs(workspace)) worker.arrived(workspace)
  })
  resumed.on(() => worker.wake())
  const steps = new ClockSteps({ prisma: database.prisma, clock, logger })
  const liveness = new WorkerLiveness({
    graceMs: SESSION_GRACE_MS,
    intervalMs: config.claims.takeOverMs,
    nowMs: () => performance.now(),
  })
  let replicas = 1
  const watch = claimWatch({
    look: async () => {
      const state = await readClusterState(database.prisma, { clock, maxCrashes, excluded: excluded(), workerNumber: session.workerNumber })
      worker.recall(state.recalled)
      await steps.makeUp(state.clockSteps)
      isolation.noteSuspects(state.suspectCrashes)
      // This process lives, also while it has no session.
      replicas = 1 + liveness.countLiving(state.workers.filter(({ number }) => number !== session.lastNumber))
      return state.workers
    },
    liveness,
    takeOver: (workerNumber, dead) => claims.takeOver(workerNumber, dead),
    workerNumber: () => session.workerNumber,
    intervalMs: config.claims.takeOverMs,
    onTakenOver: count => {
      events.emit({ event: 'taken_over', count })
      worker.wake()
    },
    logger,
  })
  const isHeldUpFor = (name: string): boolean => {
    if (!isOurs(name)) return workspaces.find(name)?.isPaused === true || !hasAgent(name)
    const breaker = fetching.breakerOf(name)
    const isCutOff = breaker !== undefined && (breaker.waitMs > 0 || breaker.state !== 'closed')
    return isCutOff || workspaces.find(name)?.isPaused === true || (!session.workerNumber && replicas < 2)
  }
  return { session, worker, replicas: () => replicas, isHeldUp: isHeldUpFor, parts: [session, watch, worker] }
}

/** Makes a function that takes what a survey found, and logs which callbacks nobody can work on. */
function unknownReporter(workspaces: Workspaces, logger: Logger): (due: readonly string[]) => void {
  const unknown = new UnknownWorkspaces({ isKnown: name => workspaces.find(name) !== undefined, nowMs: () => performance.now() })
  const trouble = new TroubleLog(logger, {
    began: 'callbacks wait for a workspace that does not exist',
    ended: 'no callback waits for a missing workspace any more',
  })
  return due => {
    const missing = unknown.observe(due)
    for (const workspace of missing) trouble.tell(`no workspace has the name ${workspace}`, { workspace })
    if (missing.length === 0) trouble.end()
  }
}
