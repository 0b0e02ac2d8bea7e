import type { ObjectId } from '../object-id.ts'
import { StorageUnavailableError } from '../storage-errors.ts'
import type { FetchedObject, ObjectAnswer } from './fetched-object.ts'
import type { Departure, Fetch, Fetched, ObjectFetcher } from './object-fetcher.ts'
import type { Outcome } from './outcome.ts'

export interface ObjectStore {
  /** Resolves when the object is stored, or a newer sighting of it was already. */
  upsert(object: FetchedObject, callbackId: string): Promise<void>
}

export interface SharedFetchesOptions {
  readonly fetcher: Pick<ObjectFetcher, 'fetch'>
  readonly store: ObjectStore
  /** Whether readers of the store see objects that are offline. It hides them itself. */
  readonly keepOffline: boolean
  /** A callback was served by the fetch of another one. `answer`: what that fetch got, if anything; `sinceMs`: performance.now() when it joined. */
  readonly onShared: (id: ObjectId, answer: ObjectAnswer | undefined, sinceMs: number) => void
}

/** A fetch under way, and what will become of its object. */
interface SharedFetch {
  readonly fetch: Fetch
  readonly outcome: Promise<Outcome>
}

interface Asker {
  readonly id: string
  /** A fetch that left at or after this moment of the monotonic clock left after the callback was accepted. */
  readonly freshFromMs: number
  /** When it was accepted, by the database's clock. */
  readonly receivedAtMs: number
}

/**
 * Fetches objects for callbacks and has them stored.
 *
 * An id wanted by several callbacks is fetched once, as long as the answer is fresh for each of them: a callback joins a fetch that has not
 * left yet, or that left after the callback was accepted. One that left earlier may have read what the event says has changed since.
 * A callback that joined a fetch with a final failure asks for itself, once.
 */
export class SharedFetches {
  readonly #options: SharedFetchesOptions
  readonly #underWay = new Map<ObjectId, SharedFetch>()

  constructor(options: SharedFetchesOptions) {
    this.#options = options
  }

  /** @returns what became of the object, when that is known and stored */
  async fetch(id: ObjectId, callback: Asker): Promise<Outcome> {
    const running = this.#underWay.get(id)
    if (!running || !isFresh(running.fetch.departure, callback)) return this.#begin(id, callback.id)
    const since = performance.now()
    const outcome = await running.outcome
    // The request carried what another sender sent: what is wrong with it need not be wrong with ours.
    if (outcome.kind === 'failed') return this.#begin(id, callback.id)
    this.#options.onShared(id, 'answer' in outcome ? outcome.answer : undefined, since)
    return outcome
  }

  #begin(id: ObjectId, callbackId: string): Promise<Outcome> {
    const fetch = this.#options.fetcher.fetch(id)
    const outcome = this.#store(fetch.result, callbackId).finally(() => {
      // A fresher one may have taken its place.
      if (this.#underWay.get(id)?.fetch === fetch) this.#underWay.delete(id)
    })
    this.#underWay.set(id, { fetch, outcome })
    return outcome
  }

  async #store(fetched: Promise<Fetched | Outcome>, callbackId: string): Promise<Outcome> {
    const { store, keepOffline } = this.#options
    const result = await fetched
    if (!('object' in result)) return result
    try {
      await store.upsert(result.object, callbackId)
    } catch (error) {
      if (error instanceof StorageUnavailableError) return { kind: 'pending', reason: error.code, isCharged: false }
      throw error
    }
    return { kind: result.object.online || keepOffline ? 'stored' : 'offline', answer: result.answer }
  }
}

/**
 * By both clocks. The database's is known a little late: an answer whose time seems to be from before the callback came could lose against one
 * that is stored and really is from before.
 */
function isFresh(departure: Departure | undefined, { freshFromMs, receivedAtMs }: Asker): boolean {
  return departure === undefined || (departure.leftAtMs >= freshFromMs && departure.fetchedAtMs >= receivedAtMs)
}
