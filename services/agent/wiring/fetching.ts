import type { CircuitBreaker } from '#fetching/circuit-breaker.ts'
import { newHost } from '#fetching/client/host.ts'
import { FairSlots } from '#fetching/fair-slots.ts'
import type { ObjectId } from '#fetching/object-id.ts'
import type { Outcome } from '#fetching/outcome.ts'
import type { Recall } from '#fetching/recall.ts'
import { SharedFetches } from '#fetching/shared-fetches.ts'
import type { Config } from '../config.ts'
import type { AgentMetrics } from '../metrics.ts'
import type { Asker } from '../workers/lease-work.ts'

interface Needs {
  /** Returns the current settings. Some of them change while the agent runs. */
  readonly config: () => Config
  /** Measures requests. */
  readonly metrics: () => AgentMetrics
  /** Called when a slot may be free, or requests may leave again. */
  readonly onRoom: () => void
}

/** The parts that fetch objects from the client service. */
export interface Fetching {
  readonly slots: FairSlots
  readonly breaker: CircuitBreaker
  /** Fetches one object for a lease. Leases may share a fetch. */
  fetch(id: ObjectId, asker: Asker, recall: Recall): Promise<Outcome>
  /** Ends all requests under way, and lets no more begin. */
  interrupt(): Promise<void>
}

/** All callbacks of an agent are of one workspace, whose name it does not know. */
const WORKSPACE = 'agent'

export function fetching({ config, metrics, onRoom }: Needs): Fetching {
  const slots = new FairSlots({ concurrency: config().fetch.concurrency, reserve: 0, weightOf: () => 1 })
  const { client, breaker, fetcher } = newHost({
    config,
    slots,
    onFetched: (result, seconds) => {
      metrics().onFetched(result, seconds)
      onRoom()
    },
    onResumed: onRoom,
    // It orders the requests of this process alone. The callback service dates what it stores by the lease.
    databaseNowMs: () => performance.now(),
  })
  const sharedFetches = new SharedFetches({
    workspace: WORKSPACE,
    fetcher,
    // Each lease delivers what it got, also from the fetch of another.
    store: { upsert: async () => undefined, troubleOf: () => undefined },
    keepOffline: true,
    recent: { begin: () => 0, end: () => undefined },
    onShared: (id, answer, sinceMs) => {
      metrics().onShared()
      client.shared(id, answer, sinceMs)
    },
  })
  return {
    slots,
    breaker,
    fetch: (id, asker, recall) => sharedFetches.fetch(id, { ...asker, receivedAtMs: asker.freshFromMs }, recall),
    interrupt: async () => {
      fetcher.stop()
      await client.stop()
    },
  }
}
