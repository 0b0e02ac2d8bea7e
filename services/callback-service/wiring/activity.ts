import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { CircuitBreaker } from '#fetching/circuit-breaker.ts'
import type { Route } from '#foundation/http/route.ts'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Telemetry } from '#foundation/telemetry/tracing.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import type { WorkerSession } from '../adapters/postgres/worker-session.ts'
import { INTERVAL_MS, MAX_ROWS, type NowView } from '../api/activity/activity-representation.ts'
import { getActivity } from '../api/activity/get-activity.ts'
import type { FindCallback } from '../api/callbacks/get-callback.ts'
import { getFetches } from '../api/callbacks/get-fetches.ts'
import type { Config } from '../config.ts'
import type { CallbackCounts } from '../domain/accepting/workspace-forecast.ts'
import { ActivityLog } from '../domain/activity/activity-log.ts'
import { AgentShortage, type Shortage, type Unsuited } from '../domain/activity/agent-shortage.ts'
import { type ClientServiceTrouble, type Light, lightsOf } from '../domain/activity/lights.ts'
import { RecentCount } from '../domain/activity/recent-count.ts'
import { Samples } from '../domain/activity/samples.ts'
import { Standstill } from '../domain/activity/standstill.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { DEFAULT_WORKSPACE } from '../domain/workspaces/workspace.ts'
import { activitySampler } from '../workers/activity-sampler.ts'
import type { Fetching, Workspaces } from './fetching.ts'
import type { CallbackIntake } from './intake.ts'
import type { Recording } from './recording.ts'

/** The breakers of the workspaces, as an operator sees them. */
interface Breakers {
  breakerOf(workspace: string): Pick<CircuitBreaker, 'state' | 'waitMs'> | undefined
}

interface Needs {
  /** Returns the current settings. */
  readonly config: () => Config
  readonly recording: Recording
  readonly events: Signal<CallbackEvent>
  readonly storage: { readonly problem: string | undefined; readonly weakness: string | undefined }
  readonly session: Pick<WorkerSession, 'workerNumber' | 'problem'>
  readonly worker: { readonly running: number }
  readonly replicas: () => number
  readonly inbox: Pick<CallbackIntake, 'spool' | 'hasSpool' | 'isSpoolDraining' | 'longestEtaMs' | 'waiting'>
  readonly fetching: Breakers & { readonly slots: Pick<Fetching['slots'], 'inFlight' | 'waiting' | 'concurrency'> }
  readonly workspaces: Workspaces
  /** Whether an agent of a workspace is alive. */
  readonly isAnyAlive: (workspace: string) => boolean
  readonly telemetry: Pick<Telemetry, 'collector'>
  readonly shutdown: { readonly isDraining: boolean }
  readonly clock: Pick<DatabaseClock, 'at' | 'nowMs'>
  readonly find: FindCallback
  /** A monotonic clock. */
  readonly nowMs: () => number
  readonly counts: () => Pick<NowView, 'streamsOpen' | 'httpConnections' | 'requestsWaiting'>
  readonly logger: Logger
}

export interface Activity {
  readonly sampler: Loop
  /** Takes in what a look at the database counted, by workspace. */
  countedCallbacks(counts: ReadonlyMap<string, CallbackCounts>): void
  /** Takes in the callbacks that no living agent suits. */
  foundUnsuited(unsuited: readonly Unsuited[]): void
  countedObjects(live: number): void
  /** Routes of the admin port, because they show this process alone. */
  readonly routes: readonly Route[]
}

/** Joins what shows operators the work of this process. */
export function activity(needs: Needs): Activity {
  const { recording, events, session, inbox, fetching, workspaces, isAnyAlive, clock, find, nowMs, logger } = needs
  const backlog = new RecentCount(nowMs)
  const liveObjects = new RecentCount(nowMs)
  const mayRun = (name: string): boolean => !inbox.isSpoolDraining && workspaces.find(name)?.isPaused === false
  const isForAgents = (name: string): boolean => workspaces.find(name)?.fetcher === 'agents'
  const standstill = new Standstill({
    nowMs,
    // While the spool is drained, nothing is claimed. What waits for agents has a light of its own.
    mayRun: name => mayRun(name) && !isForAgents(name) && !troubleOf(name, fetching),
  })
  const shortage = new AgentShortage({ nowMs, needsAgent: name => mayRun(name) && isForAgents(name), hasAgent: isAnyAlive })
  events.on(({ event }) => {
    if (event === 'claimed') standstill.ran()
  })
  const samples = new Samples({ max: MAX_ROWS, intervalMs: INTERVAL_MS })
  const log = new ActivityLog({
    tally: recording.tally,
    samples,
    gauges: () => ({
      fetches_in_flight: fetching.slots.inFlight,
      fetches_waiting: fetching.slots.waiting,
      backlog: backlog.value,
      live_objects: liveObjects.value,
      spool_callbacks: inbox.spool?.callbacks ?? 0,
      eta_ms: inbox.longestEtaMs,
    }),
    nowMs,
    clockMs: Date.now,
  })
  /** The name of this process in cursors. A restart changes it. */
  const self = randomBytes(4).toString('hex')
  return {
    sampler: activitySampler({ sample: () => log.sample(), intervalMs: INTERVAL_MS, nowMs, logger }),
    countedCallbacks(counts) {
      backlog.set(counts.values().reduce((sum, { unfinished, paused }) => sum + unfinished + paused, 0))
      standstill.counted(counts)
      shortage.counted(counts)
    },
    foundUnsuited: unsuited => shortage.foundUnsuited(unsuited),
    countedObjects: live => liveObjects.set(live),
    routes: [
      getActivity(after => {
        const shortages = shortage.now
        const troubles = workspaces.all.flatMap(({ name }) => troubleOf(name, fetching) ?? [])
        return {
          news: samples.after(after?.process === self ? after.number : undefined),
          cursor: { process: self, number: samples.lastNumber },
          clockOffsetMs: samples.clockOffsetMs,
          lights: lights(needs, { log, standstill, shortages, troubles }),
          now: now(needs, { shortages, troubles }),
        }
      }),
      getFetches({
        find,
        fetches: recording.fetches,
        databaseAt: ms => clock.at(ms),
        replica: () => ({ host: hostname(), pid: process.pid, worker: session.workerNumber }),
      }),
    ],
  }
}

interface Seen {
  readonly log: ActivityLog
  readonly standstill: Standstill
  readonly shortages: readonly Shortage[]
  readonly troubles: readonly ClientServiceTrouble[]
}

function lights(needs: Needs, { log, standstill, shortages, troubles }: Seen): readonly Light[] {
  const { config, storage, inbox, session, replicas, worker, workspaces, telemetry, shutdown } = needs
  return lightsOf({
    storageProblem: storage.problem,
    weakness: storage.weakness,
    spool: inbox.spool && {
      callbacks: inbox.spool.callbacks,
      setAside: inbox.spool.setAsideCount,
      problem: inbox.spool.problem ?? (inbox.hasSpool ? undefined : 'it is full'),
    },
    sessionProblem: session.problem,
    replicas: replicas(),
    agents: {
      workspaces: workspaces.all.filter(({ fetcher, archivedAt }) => fetcher === 'agents' && archivedAt === null).length,
      shortages,
      lapsed: log.lapsedInLastMinute,
    },
    standstill: standstill.now,
    callbacksRunning: worker.running,
    defaultWorkspace: DEFAULT_WORKSPACE,
    troubles,
    fetches: log.fetchesOfLastMinute,
    fetchTimeoutMs: config().fetch.timeoutMs,
    tracing: telemetry.collector,
    isShuttingDown: shutdown.isDraining,
  })
}

function now(
  { session, worker, replicas, inbox, fetching, shutdown, clock, counts }: Needs,
  { shortages, troubles }: Pick<Seen, 'shortages' | 'troubles'>,
): NowView {
  const { spool } = inbox
  return {
    at: new Date(),
    databaseAt: new Date(clock.nowMs()),
    uptimeSeconds: process.uptime(),
    isShuttingDown: shutdown.isDraining,
    replicas: replicas(),
    fetchConcurrency: fetching.slots.concurrency,
    troubles,
    unsuited: shortages.flatMap(({ workspace, waiting, callback }) => (callback === undefined ? [] : [{ workspace, waiting, callback }])),
    spool: spool && { callbacks: spool.callbacks, setAside: spool.setAsideCount, bytes: spool.bytes },
    worker: { number: session.workerNumber, problem: session.problem, callbacksRunning: worker.running },
    acceptWaiting: inbox.waiting,
    ...counts(),
  }
}

/** @returns what is wrong with the client service of a workspace; undefined if it is well, or nobody has asked it yet */
function troubleOf(workspace: string, fetching: Breakers): ClientServiceTrouble | undefined {
  const breaker = fetching.breakerOf(workspace)
  if (!breaker) return undefined
  const { state } = breaker
  const waitMs = Math.max(0, breaker.waitMs)
  if (state !== 'closed') return { workspace, state: state === 'open' ? 'open' : 'half_open', waitMs }
  return waitMs > 0 ? { workspace, state: 'paused', waitMs } : undefined
}
