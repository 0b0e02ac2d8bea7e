import type { ObjectId } from '../object-id.ts'
import { StorageUnavailableError } from '../storage-errors.ts'
import type { FetchedObject } from './fetched-object.ts'
import type { Departure, ObjectFetcher } from './object-fetcher.ts'
import type { Outcome } from './outcome.ts'

export interface ObjectStore {
  /** Resolves when the object is stored, or a newer sighting of it was already. */
  upsert(object: FetchedObject, callbackId: string): Promise<void>
}

export interface ObjectRefresherOptions {
  readonly fetcher: Pick<ObjectFetcher, 'fetch'>
  readonly store: ObjectStore
  /** Whether readers of the store see objects that are offline. It hides them itself. */
  readonly keepOffline: boolean
  /** A callback was served by another's fetch. `sinceMs` is performance.now() when it joined. */
  readonly onShared: (id: ObjectId, handle: unknown, sinceMs: number) => void
}

/** The fetch and the storing of an object under way. */
interface Refresh {
  readonly departure: Departure
  readonly outcome: Promise<Outcome>
}

/**
 * Fetches objects and has them stored.
 *
 * An id wanted by several callbacks is fetched once, as long as the answer is fresh for each of them: a callback joins a fetch that has not
 * left yet, or that left after the callback was accepted. One that left earlier may have read what the event says has changed since.
 * A callback that joined a fetch with a final failure asks for itself, once.
 */
export class ObjectRefresher {
  readonly #options: ObjectRefresherOptions
  readonly #refreshes = new Map<ObjectId, Refresh>()

  constructor(options: ObjectRefresherOptions) {
    this.#options = options
  }

  async refresh(
    id: ObjectId,
    callback: { readonly id: string; readonly freshFromMs: number; readonly receivedAtMs: number },
  ): Promise<Outcome> {
    const running = this.#refreshes.get(id)
    if (!running || !isFresh(running.departure, callback)) return this.#begin(id, callback.id)
    const since = performance.now()
    const outcome = await running.outcome
    // The request carried what another sender sent: what is wrong with it need not be wrong with ours.
    if (outcome.kind === 'failed') return this.#begin(id, callback.id)
    this.#options.onShared(id, 'handle' in outcome ? outcome.handle : undefined, since)
    return outcome
  }

  #begin(id: ObjectId, callbackId: string): Promise<Outcome> {
    const departure: Departure = { leftAtMs: undefined }
    const outcome = this.#fetchAndStore(id, callbackId, departure).finally(() => {
      // A fresher one may have taken its place.
      if (this.#refreshes.get(id)?.departure === departure) this.#refreshes.delete(id)
    })
    this.#refreshes.set(id, { departure, outcome })
    return outcome
  }

  async #fetchAndStore(id: ObjectId, callbackId: string, departure: Departure): Promise<Outcome> {
    const { fetcher, store, keepOffline } = this.#options
    const result = await fetcher.fetch(id, departure)
    if (!('object' in result)) return result
    try {
      await store.upsert(result.object, callbackId)
    } catch (error) {
      if (error instanceof StorageUnavailableError) return { kind: 'pending', reason: error.code, isCharged: false }
      throw error
    }
    return { kind: result.object.online || keepOffline ? 'stored' : 'offline', handle: result.handle }
  }
}

/**
 * By both clocks. The database's is known a little late: an answer whose time seems to be from before the callback came could lose against one
 * that is stored and really is from before.
 */
function isFresh(
  { leftAtMs, fetchedAtMs = 0 }: Departure,
  callback: { readonly freshFromMs: number; readonly receivedAtMs: number },
): boolean {
  return leftAtMs === undefined || (leftAtMs >= callback.freshFromMs && fetchedAtMs >= callback.receivedAtMs)
}
