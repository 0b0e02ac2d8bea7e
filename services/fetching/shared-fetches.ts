import type { FetchedObject, ObjectAnswer } from './fetched-object.ts'
import type { Departure, Fetch, Fetched, ObjectFetcher } from './object-fetcher.ts'
import type { ObjectId } from './object-id.ts'
import type { Outcome } from './outcome.ts'
import type { Recall } from './recall.ts'

export interface ObjectStore {
  /** Resolves when the object is stored, or if the store already has a newer sighting of it. */
  upsert(object: FetchedObject, callback: StoredFor): Promise<void>
  /** @returns why `upsert` could not store an object now, so that a later attempt may; undefined if the error is a bug */
  troubleOf(error: unknown): string | undefined
}

/** The callback that an object is stored for. */
export interface StoredFor {
  readonly id: string
  readonly workspace: string
}

export interface SharedFetchesOptions {
  readonly workspace: string
  readonly fetcher: Pick<ObjectFetcher, 'fetch'>
  readonly store: ObjectStore
  /** Whether readers see objects that are offline. The store itself hides them. */
  readonly keepOffline: boolean
  /**
   * Called when the fetch of one callback has served another. `answer`: what that fetch got, if anything.
   * `sinceMs`: performance.now() when the other callback joined.
   */
  readonly onShared: (id: ObjectId, answer: ObjectAnswer | undefined, sinceMs: number) => void
  /** Remembers which fetches were made for a callback. */
  readonly recent: FetchRecord
}

/** What remembers the fetches of callbacks, if anything does. */
export interface FetchRecord {
  /** Notes that a fetch begins. @returns what `end` needs */
  begin(id: ObjectId, callback: { readonly id: string; readonly attempt: number }): number
  end(ticket: number, result: string, how: { readonly leftMs: number | undefined; readonly isShared: boolean }): void
}

const NEVER = { isCalled: false } as const

/** A fetch under way, and the outcome of its object. */
interface SharedFetch {
  readonly fetch: Fetch
  /** Of the callbacks that wait for it. */
  readonly recalls: Pick<Recall, 'isCalled'>[]
  readonly outcome: Promise<Outcome>
}

interface Asker {
  readonly id: string
  readonly attempt: number
  /** A moment of the monotonic clock. A fetch that left at or after it left after the callback was accepted. */
  readonly freshFromMs: number
  /** When the callback was accepted, by the database's clock. */
  readonly receivedAtMs: number
}

/**
 * Fetches objects for the callbacks of one workspace and stores them.
 *
 * If several callbacks want the same object, they share one fetch if its answer is fresh for each of them. A callback joins a fetch that
 * has not left yet, or that left after the callback was accepted. A fetch that left earlier may have read the state from before the change.
 * If a joined fetch ends with a final failure, the callback fetches the object itself, once.
 */
export class SharedFetches {
  readonly #options: SharedFetchesOptions
  readonly #underWay = new Map<ObjectId, SharedFetch>()

  constructor(options: SharedFetchesOptions) {
    this.#options = options
  }

  /**
   * Fetches one object for a callback. Resolves when its outcome is known and the object, if there is one, is stored.
   * @param recall once it is called, no request leaves for this callback any more
   */
  async fetch(id: ObjectId, callback: Asker, recall: Pick<Recall, 'isCalled'> = NEVER): Promise<Outcome> {
    const { recent, onShared } = this.#options
    const ticket = recent.begin(id, callback)
    const running = this.#underWay.get(id)
    if (running && isFresh(running.fetch.departure, callback)) {
      const since = performance.now()
      running.recalls.push(recall)
      const outcome = await running.outcome
      // If it failed: that request carried the trace headers of another sender. Ours may succeed.
      if (outcome.kind !== 'failed') {
        recent.end(ticket, resultOf(outcome), { leftMs: running.fetch.departure?.leftAtMs, isShared: true })
        onShared(id, 'answer' in outcome ? outcome.answer : undefined, since)
        return outcome
      }
    }
    const own = this.#begin(id, callback.id, recall)
    let outcome: Outcome | undefined
    try {
      outcome = await own.outcome
      return outcome
    } finally {
      recent.end(ticket, outcome ? resultOf(outcome) : 'internal_error', { leftMs: own.fetch.departure?.leftAtMs, isShared: false })
    }
  }

  #begin(id: ObjectId, callbackId: string, recall: Pick<Recall, 'isCalled'>): SharedFetch {
    const { fetcher, workspace } = this.#options
    const recalls = [recall]
    const fetch = fetcher.fetch(id, workspace, () => recalls.some(({ isCalled }) => !isCalled))
    const outcome = this.#store(fetch.result, { id: callbackId, workspace }).finally(() => {
      // A fresher fetch may have taken its place.
      if (this.#underWay.get(id)?.fetch === fetch) this.#underWay.delete(id)
    })
    const begun = { fetch, recalls, outcome }
    this.#underWay.set(id, begun)
    return begun
  }

  async #store(fetched: Promise<Fetched | Outcome>, callback: StoredFor): Promise<Outcome> {
    const { store, keepOffline } = this.#options
    const result = await fetched
    if (!('object' in result)) return result
    try {
      await store.upsert(result.object, callback)
    } catch (error) {
      const reason = store.troubleOf(error)
      if (reason === undefined) throw error
      return { kind: 'pending', reason, isCharged: false }
    }
    return { kind: result.object.online || keepOffline ? 'stored' : 'offline', answer: result.answer }
  }
}

function resultOf(outcome: Outcome): string {
  return 'reason' in outcome ? outcome.reason : outcome.kind
}

/**
 * Whether the request left after the callback was accepted, by both clocks. Our view of the database's clock lags a little. An answer that
 * seems older than the callback could lose to a stored answer that really is older.
 */
function isFresh(departure: Departure | undefined, { freshFromMs, receivedAtMs }: Asker): boolean {
  return departure === undefined || (departure.leftAtMs >= freshFromMs && departure.fetchedAtMs >= receivedAtMs)
}
