import type { CircuitBreaker } from '#fetching/circuit-breaker.ts'
import { fetchResult } from '#fetching/client/fetch-result.ts'
import { type Host as HostOfFetches, newHost } from '#fetching/client/host.ts'
import { FairSlots } from '#fetching/fair-slots.ts'
import { SharedFetches, type ObjectStore as StoreOfFetches } from '#fetching/shared-fetches.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { ObjectStore } from '../adapters/postgres/object-store.ts'
import type { Config } from '../config.ts'
import { RightMissingError, StorageUnavailableError } from '../domain/storage-errors.ts'
import type { Workspace } from '../domain/workspaces/workspace.ts'
import type { CallbackMetrics } from '../metrics.ts'
import type { Recording } from './recording.ts'

/** The workspaces that this process knows. */
export interface Workspaces {
  find(name: string): Workspace | undefined
  readonly all: readonly Workspace[]
}

interface Needs {
  /** Returns the current settings. Some of them change while the service runs. */
  readonly config: () => Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly clock: DatabaseClock
  readonly workspaces: Workspaces
  /** Counts and remembers the requests. */
  readonly recording: Recording
  readonly logger: Logger
}

/** The parts that fetch objects from the client services and store them. */
export interface Fetching {
  readonly store: ObjectStore
  /** Stores an object, and logs if a right is missing for that. */
  readonly upsert: StoreOfFetches['upsert']
  readonly slots: FairSlots
  /** @returns how the objects of a workspace are fetched, by its current settings; undefined if it is unknown */
  of(workspace: string): FetchingOf | undefined
  /** @returns the breaker of a workspace that `of` was called for */
  breakerOf(workspace: string): CircuitBreaker | undefined
  /** Emitted when requests may leave again earlier than a breaker said. */
  readonly resumed: Signal
  /** Ends all requests under way, and lets no more begin. */
  interrupt(): Promise<void>
}

/** How the objects of one workspace are fetched. */
interface FetchingOf {
  readonly sharedFetches: SharedFetches
  /** Workspaces with one client service have one breaker. */
  readonly breaker: CircuitBreaker
}

/** A client service, and the workspaces that use it. */
interface Host extends HostOfFetches {
  readonly workspaces: Set<string>
}

interface Entry extends FetchingOf {
  readonly url: string
  readonly keepOffline: boolean
}

export function fetching(needs: Needs): Fetching {
  const { config: current, workspaces } = needs
  const config = current()
  const { store, upsert } = storing(needs)
  const slots = new FairSlots({
    concurrency: config.fetch.concurrency,
    reserve: config.fetch.reserve,
    weightOf: name => workspaces.find(name)?.weight ?? 1,
  })
  const resumed = new Signal()
  const hosts = new Map<string, Host>()
  /** Those that workspaces use, and those that still have requests under way. */
  const running = new Set<Host>()
  const entries = new Map<string, Entry>()

  const hostOf = (url: string): Host => {
    const known = hosts.get(url)
    if (known) return known
    const { metrics, recording, clock } = needs
    const host: Host = {
      workspaces: new Set(),
      ...newHost({
        config: current,
        url,
        slots,
        onFetched: (result, seconds) => {
          metrics.fetched.observe({ result: fetchResult(result) }, seconds)
          recording.tally.fetched(result === 'ok' || result === 'not_found', seconds)
        },
        onResumed: () => resumed.emit(),
        databaseNowMs: () => clock.nowMs(),
      }),
    }
    hosts.set(url, host)
    running.add(host)
    return host
  }
  const leave = (workspace: string, url: string): void => {
    const host = hosts.get(url)
    host?.workspaces.delete(workspace)
    if (!host || host.workspaces.size > 0) return
    hosts.delete(url)
    void host.fetcher.idle().then(async () => {
      running.delete(host)
      await host.client.stop()
    })
  }
  return {
    store,
    upsert,
    slots,
    resumed,
    of: name => {
      const workspace = workspaces.find(name)
      if (!workspace) return undefined
      const url = workspace.clientServiceUrl ?? config.clientService.url
      const keepOffline = workspace.keepOffline ?? config.objects.keepOffline
      const known = entries.get(name)
      if (known && known.url === url && known.keepOffline === keepOffline) return known
      const host = hostOf(url)
      host.workspaces.add(name)
      if (known && known.url !== url) leave(name, known.url)
      const { client, breaker, fetcher } = host
      const sharedFetches = new SharedFetches({
        workspace: name,
        fetcher,
        store: { upsert, troubleOf: error => (error instanceof StorageUnavailableError ? error.code : undefined) },
        keepOffline,
        recent: needs.recording.fetches,
        onShared: (id, answer, sinceMs) => {
          needs.metrics.shared.inc()
          client.shared(id, answer, sinceMs)
        },
      })
      const entry = { url, keepOffline, breaker, sharedFetches }
      entries.set(name, entry)
      return entry
    },
    breakerOf: name => entries.get(name)?.breaker,
    interrupt: async () => {
      for (const { fetcher } of running) fetcher.stop()
      await Promise.all([...running].map(({ client }) => client.stop()))
    },
  }
}

function storing({ config, metrics, database, clock, workspaces, logger }: Needs): {
  store: ObjectStore
  upsert: StoreOfFetches['upsert']
} {
  const trouble = new TroubleLog(logger, { began: 'objects are not stored', ended: 'objects are stored again' })
  const store = new ObjectStore({
    prisma: database.prisma,
    clock,
    ttlSeconds: name => workspaces.find(name)?.ttlSeconds ?? config().expiry.ttlSeconds,
    onStored: (count, seconds) => {
      trouble.end()
      metrics.stored.inc(count)
      metrics.storeSeconds.observe(seconds)
    },
  })
  return {
    store,
    upsert: (object, callback) =>
      store.upsert(object, callback).catch(error => {
        if (error instanceof RightMissingError) trouble.tell(error.message)
        throw error
      }),
  }
}
