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
import type { Config } from '../config.ts'
import { Backlog } from '../domain/accepting/backlog.ts'
import { type DurablyAccepted, Intake } from '../domain/accepting/intake.ts'
import { KnownKeys } from '../domain/accepting/known-keys.ts'
import type { CallbackView } from '../domain/callback.ts'
import { StorageUnavailableError } from '../domain/storage-errors.ts'
import type { CallbackMetrics } from '../metrics.ts'
import { SpoolDrain } from '../workers/spool-drain.ts'

interface Needs {
  readonly config: Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly clock: DatabaseClock
  readonly logger: Logger
  /** Callbacks are in the inbox that were not there before. */
  readonly arrived: Signal
  /** The database did not take a callback. */
  readonly onRefused: (reason: string) => void
}

/** What accepts callbacks: the inbox, and where one is set up, the spool and its drain. */
export interface CallbackIntake {
  /** Seconds after which there may be room for another callback; 0: there is. */
  readonly waitSeconds: number
  /** @throws what the inbox and the spool throw */
  accept(callback: ReceivedCallback): Promise<DurablyAccepted>
  /** A callback that is not in the database yet. */
  find(id: string): Promise<CallbackView | undefined>
  /** Whether the spool is being moved into the inbox: what lies on one disk goes first, before anything is worked on. */
  readonly isDraining: boolean
  /** Whether callbacks can be accepted without the database, as far as is known. */
  readonly hasSpool: boolean
  readonly backlog: Backlog
  /** What the database refused; undefined where there is no spool. */
  readonly setAside: SetAside | undefined
  readonly checks: readonly Check[]
  /** Callbacks that wait for a commit. */
  readonly waiting: number
  readonly spool: Pick<CallbackSpool, 'callbacks' | 'setAsideCount' | 'bytes'> | undefined
  readonly parts: readonly Part[]
}

/** The callbacks that the database refused, for an operator. */
type SetAside = Pick<CallbackSpool, 'aside' | 'putBack' | 'drop'>

/** Some 3 MB of them. */
const MAX_KNOWN_KEYS = 20_000

/** Joins what accepts callbacks. */
export function intake(needs: Needs): CallbackIntake {
  const { config, metrics, database, arrived } = needs
  const inbox = new CallbackInbox({
    prisma: database.prisma,
    ...config.accept,
    timeoutMs: config.spool.path === '' ? config.accept.timeoutMs : config.spool.patienceMs,
    maxInFlight: config.accept.maxCommits,
    onCommit: (size, seconds) => {
      metrics.commitSize.observe(size)
      metrics.commitSeconds.observe(seconds)
      arrived.emit()
    },
  })
  const backlog = new Backlog({ max: config.inbox.maxBacklog, nowMs: () => performance.now() })
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
      return backlog.waitSeconds
    },
    async accept(callback) {
      const accepted = await keeper.accept(newCallback(callback))
      if (!accepted.isReplay) backlog.accepted()
      return accepted
    },
    find: async id => spool?.find(id),
    get isDraining() {
      return drain?.isMoving ?? false
    },
    get hasSpool() {
      return spool?.hasRoom ?? false
    },
    backlog,
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
  const { config, metrics, clock, logger, arrived } = needs
  const spool = new CallbackSpool({
    ...config.accept,
    ...config.spool,
    timeoutMs: config.accept.timeoutMs - config.spool.patienceMs,
    nowMs: () => clock.nowMs(),
    ownerOf: key => keys.ownerOf(key),
    onKept: (count, seconds) => {
      metrics.spooled.inc(count)
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
    onDrained: count => {
      metrics.drained.inc(count)
      arrived.emit()
    },
    logger,
  })
  return { spool, drain }
}

/** What the drain has moved, the spool no longer knows. Its ids are made anew: those of the releases before were made of the key alone. */
function rememberKeys(keys: KnownKeys, rows: readonly SpooledRow[], rivals: ReadonlySet<string>): void {
  for (const { id, idempotency_key: key, object_ids } of rows)
    if (key && !rivals.has(id)) keys.remember(key, keyedCallbackId(key, object_ids))
}
