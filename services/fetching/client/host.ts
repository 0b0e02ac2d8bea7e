import { Rests } from '#foundation/lifecycle/rest.ts'
import { CircuitBreaker } from '../circuit-breaker.ts'
import type { FairSlots } from '../fair-slots.ts'
import { ObjectFetcher, type ObjectFetcherOptions } from '../object-fetcher.ts'
import { ObjectClient } from './object-client.ts'
import type { FetchingConfig } from './settings.ts'

/** What asks one client service for objects. */
export interface Host {
  readonly client: ObjectClient
  readonly breaker: CircuitBreaker
  readonly fetcher: ObjectFetcher
}

export interface HostOptions {
  /** Returns the current settings. Some of them change while the service runs. */
  readonly config: () => FetchingConfig
  /** Address of the client service, if it is not that of the settings. */
  readonly url?: string
  /** Bounds the requests under way. Hosts may share it. */
  readonly slots: FairSlots
  /** Called after each request. */
  readonly onFetched: ObjectFetcherOptions['onFetched']
  /** Called when requests may leave again earlier than the breaker said. */
  readonly onResumed: () => void
  /** The time of the database's clock as this process knows it, never ahead of it. */
  readonly databaseNowMs: () => number
}

/** Joins what asks one client service for objects: the requests, the breaker, and the tries. */
export function newHost({ config, url, slots, onFetched, onResumed, databaseNowMs }: HostOptions): Host {
  const { clientService, fetch } = config()
  const client = new ObjectClient({ ...clientService, url: url ?? clientService.url, timeoutMs: () => config().fetch.timeoutMs })
  const nowMs = (): number => performance.now()
  const breaker = new CircuitBreaker({
    objects: fetch.breakerObjects,
    openMs: fetch.breakerOpenMs,
    maxOpenMs: fetch.breakerMaxOpenMs,
    maxPauseMs: fetch.maxRetryAfterMs,
    onResumed: () => {
      fetcher.resume()
      onResumed()
    },
    nowMs,
  })
  const fetcher = new ObjectFetcher({
    source: client,
    breaker,
    slots,
    onFetched,
    maxTries: fetch.maxTries,
    backoff: { baseMs: fetch.retryBaseMs, maxMs: fetch.timeoutMs },
    maxHoldMs: fetch.maxHoldMs,
    databaseNowMs,
    nowMs,
    rests: new Rests(),
    holds: new Rests(),
    random: Math.random,
  })
  return { client, breaker, fetcher }
}
