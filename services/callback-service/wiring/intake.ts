import type { Check } from '#foundation/http/health.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { keyedCallbackId } from '../adapters/callback-id.ts'
import { type NewCallback, newCallback, type ReceivedCallback } from '../adapters/new-callback.ts'
import { CallbackInbox } from '../adapters/postgres/callback-inbox.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { CallbackSpool } from '../adapters/spool/callback-spool.ts'
import type { SpooledRow } from '../adapters/spool/spool-file.ts'
import { type Config, spoolPathOf } from '../config.ts'
import { Backlogs } from '../domain/accepting/backlog.ts'
import { Forecasts } from '../domain/accepting/forecasts.ts'
import { scopedKey } from '../domain/accepting/idempotency-key.ts'
import { type Accepted, type Durability, Intake } from '../domain/accepting/intake.ts'
import { KnownKeys } from '../domain/accepting/known-keys.ts'
import type { CallbackCounts, Forecast } from '../domain/accepting/workspace-forecast.ts'
import type { CallbackView } from '../domain/callback.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { StorageUnavailableError } from '../domain/storage-errors.ts'
import type { CallbackMetrics } from '../metrics.ts'
import { SpoolDrain } from '../workers/spool-drain.ts'

interface Needs {
  readonly config: Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly clock: DatabaseClock
  readonly logger: Logger
  /** Emitted with the workspace when there are new callbacks in the inbox. */
  readonly arrived: Signal<string>
  /** Tells what happens to callbacks. */
  readonly events: Signal<CallbackEvent>
  /** Called when the database did not take a callback. */
  readonly onRefused: (reason: string) => void
  /** Whether no callback of the workspace can be processed now. */
  readonly isHeldUp: (workspace: string) => boolean
}

/** An accepted callback, with what its sender may rely on. `none`: the service keeps nothing of what it accepts. */
type PromisedCallback = Accepted & { readonly durability: Durability | 'none'; readonly forecast: Forecast | undefined }

/** The parts that accept callbacks: the inbox and, if one is configured, the spool with its drain. */
export interface CallbackIntake {
  /** Seconds until there may be room for another callback; 0 if there is room now. */
  readonly waitSeconds: number
  /**
   * Accepts a callback, with a forecast for it. There is none for a replay, which may be finished, nor for a callback in the spool.
   * @throws what the inbox and the spool throw
   */
  accept(callback: ReceivedCallback): Promise<PromisedCallback>
  /** Finds a callback of a workspace that is still in the spool. @returns undefined if it is not there */
  find(workspace: string, id: string): Promise<CallbackView | undefined>
  /** Whether the drain is moving callbacks. Nothing is claimed meanwhile, because callbacks that lie on one disk only go first. */
  readonly isSpoolDraining: boolean
  /** Whether callbacks can be accepted without the database, as far as this process knows. */
  readonly hasSpool: boolean
  readonly backlogs: Backlogs
  /** The window in which the next look at the database counts finished callbacks. */
  readonly windowMs: number
  /** Time until a callback that comes now is probably finished, in the workspace where that takes longest; null if nobody knows. */
  readonly longestEtaMs: number | null
  /** Takes in what a look at the database counted, by workspace. */
  counted(counts: ReadonlyMap<string, CallbackCounts>, windowMs: number): void
  /** The callbacks that the database refused; undefined if there is no spool. */
  readonly setAside: SetAside | undefined
  readonly checks: readonly Check[]
  /** Number of callbacks that wait for a commit. */
  readonly waiting: number
  readonly spool: Pick<CallbackSpool, 'callbacks' | 'setAsideCount' | 'bytes' | 'problem'> | undefined
  readonly parts: readonly Part[]
}

/** Gives an operator access to the callbacks that the database refused. */
type SetAside = Pick<CallbackSpool, 'aside' | 'putBack' | 'drop'>

/** Maximum number of idempotency keys to remember. They take about 3 MB. */
const MAX_KNOWN_KEYS = 20_000

/** Joins the parts that accept callbacks. */
export function intake(needs: Needs): CallbackIntake {
  const { config, metrics, database, clock, arrived, events, isHeldUp } = needs
  const inbox = new CallbackInbox({
    prisma: database.prisma,
    clock,
    ...config.accept,
    timeoutMs: config.spool.path === '' ? config.accept.timeoutMs : config.spool.patienceMs,
    maxInFlight: config.accept.maxCommits,
    onCommit: (size, seconds) => {
      metrics.commitSize.observe(size)
      metrics.commitSeconds.observe(seconds)
    },
    onArrived: workspace => arrived.emit(workspace),
  })
  const backlogs = new Backlogs({ nowMs: () => performance.now() })
  const forecasts = new Forecasts({ isHeldUp, nowMs: () => performance.now() })
  events.on(happened => forecasts.onEvent(happened))
  const keys = new KnownKeys({
    max: MAX_KNOWN_KEYS,
    forgetAfterMs: config.callbacks.retentionSeconds * 1000,
    nowMs: () => performance.now(),
  })
  const { spool, drain } = config.spool.path === '' ? {} : spoolFor(inbox, keys, needs)
  const watched = { insert: (callback: NewCallback) => inbox.insert(callback).catch(refusal(needs)) }
  const keeper = new Intake({ inbox: watched, spool, keys })
  return {
    get waitSeconds() {
      return backlogs.all.waitSeconds(config.inbox.maxBacklog)
    },
    async accept(callback) {
      const { durability: place, ...accepted } = await keeper.accept(newCallback(callback))
      const durability = config.database.durability === 'none' ? 'none' : place
      const { workspace, objectIds } = callback
      if (!accepted.isReplay) backlogs.accepted(workspace)
      if (accepted.isReplay || place === 'spooled') return { ...accepted, durability, forecast: undefined }
      const forecast = forecasts.forecast(workspace, objectIds.length)
      forecasts.accepted(workspace)
      return { ...accepted, durability, forecast }
    },
    find: async (workspace, id) => {
      const found = await spool?.find(id)
      return found?.workspace === workspace ? found : undefined
    },
    get isSpoolDraining() {
      return drain?.isMoving ?? false
    },
    get hasSpool() {
      return spool?.hasRoom ?? false
    },
    backlogs,
    get windowMs() {
      return forecasts.windowMs
    },
    get longestEtaMs() {
      return forecasts.longestEtaMs
    },
    counted(counts, windowMs) {
      // Paused callbacks take up room, but no new callback waits for them.
      backlogs.count(new Map([...counts].map(([workspace, { unfinished, paused }]) => [workspace, unfinished + paused])))
      forecasts.count(counts, windowMs)
    },
    setAside: spool,
    checks: spool
      ? [
          {
            name: 'spool',
            problem: () => spool.problem,
            isDispensable: () => true,
            note: () => `${spool.callbacks} callbacks wait for the database`,
          },
        ]
      : [],
    get waiting() {
      return inbox.waiting
    },
    spool,
    parts: spool && drain ? [spool, drain] : [],
  }
}

function refusal({ onRefused }: Needs): (error: Error) => never {
  return error => {
    if (error instanceof StorageUnavailableError) onRefused(error.message)
    throw error
  }
}

function spoolFor(inbox: CallbackInbox, keys: KnownKeys, needs: Needs) {
  const { config, metrics, clock, events, logger } = needs
  const spool = new CallbackSpool({
    ...config.accept,
    ...config.spool,
    path: spoolPathOf(config),
    timeoutMs: config.accept.timeoutMs - config.spool.patienceMs,
    nowMs: () => clock.nowMs(),
    ownerOf: key => keys.ownerOf(key),
    onKept: (count, seconds) => {
      events.emit({ event: 'spooled', count })
      metrics.spoolSeconds.observe(seconds)
    },
    logger,
  })
  const drain = new SpoolDrain({
    spool,
    takeOver: async rows => {
      const rivals = await inbox.takeOver(rows).catch(refusal(needs))
      rememberKeys(keys, rows, new Set(rivals.map(({ id }) => id)))
      return rivals
    },
    onDrained: count => events.emit({ event: 'drained', count }),
    logger,
  })
  return { spool, drain }
}

/**
 * Remembers the keys that the spool forgets after a drain. It makes their ids again, because earlier releases made ids from the key alone.
 */
function rememberKeys(keys: KnownKeys, rows: readonly SpooledRow[], rivals: ReadonlySet<string>): void {
  for (const { id, workspace, idempotency_key, object_ids } of rows) {
    if (!idempotency_key || rivals.has(id)) continue
    const key = scopedKey(workspace, idempotency_key)
    keys.remember(key, keyedCallbackId(key, object_ids))
  }
}
