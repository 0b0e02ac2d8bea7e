/**
 * What a sender knows about one POST. `info`: there was no answer, or one that is neither yes nor no, so the callback may have been stored.
 */
export type Outcome = { readonly tookMs?: number; readonly replica?: number } & (
  | { readonly kind: 'ok'; readonly id: string; readonly durability: 'database' | 'spooled'; readonly receivedAtMs?: number }
  | { readonly kind: 'fail'; readonly status: number; readonly code: string }
  | { readonly kind: 'info'; readonly reason: string }
)

/**
 * A callback as its sender remembers it: one idempotency key with one list of object ids, and the outcome of each POST.
 * The same key with other object ids is another callback, its rival.
 */
export interface SentCallback {
  readonly workspace: string
  /** No other workspace has a callback with this key. */
  readonly key: string
  /** Distinct ids, in the order in which they were sent. No other callback names all objects of a rival. */
  readonly objectIds: readonly number[]
  /** Whether the service must refuse it. */
  readonly isInvalid: boolean
  /** When it was first sent, in epoch milliseconds. */
  readonly sentAtMs: number
  /** The outcomes in the order in which the answers came. */
  readonly outcomes: readonly Outcome[]
}

/** A row of `callbacks` at the end of the run. */
export interface StoredCallback {
  readonly id: string
  readonly workspace: string
  readonly key: string | null
  readonly state: string
  /** Epoch milliseconds by the database's clock, without its fraction. */
  readonly receivedAtMs: number
  readonly attempts: number
  readonly objectIds: readonly number[]
  readonly unstored: readonly { readonly id: string; readonly outcome: string; readonly reason?: string }[]
}

/** One change of a callback's state, as the database recorded it. `replica`: the name of the replica that made it. */
export interface Transition {
  readonly callbackId: string
  /** Epoch milliseconds by a clock that never steps. */
  readonly atMs: number
  readonly replica: string
  readonly from: string
  /** The new state; `deleted` if the row was deleted. */
  readonly to: string
  /** The worker that had claimed the callback before the change; null if no worker had. */
  readonly oldWorker: number | null
  /** The worker that has claimed it after the change; null if no worker has. */
  readonly newWorker: number | null
  /** Whether an agent had leased the callback before the change. Any replica may serve a lease. */
  readonly wasLeased: boolean
  /** If the callback was taken from its worker: whether that worker had proved for a while, without a break, that it was alive. */
  readonly isWorkerAlive: boolean
}

/**
 * An answer that was stored although it must not be. `untrue`: in a state that the object never had. `fresh`: as if it was asked for after the
 * lease under which it was delivered had begun.
 */
export interface SuspectStore {
  readonly callbackId: string
  readonly place: string
  readonly why: 'untrue' | 'fresh'
}

/** When answers were stored, by workspace and object (see `placeOf`), in no particular order. Epoch milliseconds by a clock that never steps. */
export type Stores = ReadonlyMap<string, readonly number[]>
