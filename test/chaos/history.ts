/** What a sender knows of one POST. `info`: no answer, or one that says neither yes nor no; it may have happened. */
export type Outcome = { readonly tookMs?: number; readonly replica?: number } & (
  | { readonly kind: 'ok'; readonly id: string; readonly durability: 'database' | 'spooled' }
  | { readonly kind: 'fail'; readonly status: number; readonly code: string }
  | { readonly kind: 'info'; readonly reason: string }
)

/**
 * A callback as its sender remembers it: one idempotency key with one list of ids, and what became of each time it was sent.
 * The same key with other ids is another one, its rival.
 */
export interface SentCallback {
  readonly key: string
  /** Distinct, in the order they were sent. Those of rivals are named by nobody else. */
  readonly objectIds: readonly number[]
  /** Whether it is one that must be refused. */
  readonly isInvalid: boolean
  /** The first time. Epoch milliseconds. */
  readonly sentAtMs: number
  /** In the order the answers came. */
  readonly outcomes: readonly Outcome[]
}

/** A row of `callbacks`, when everything is over. */
export interface StoredCallback {
  readonly id: string
  readonly key: string | null
  readonly state: string
  readonly attempts: number
  readonly objectIds: readonly number[]
  readonly unstored: readonly { readonly id: string; readonly outcome: string; readonly reason?: string }[]
}

/** One change of a callback's state, as the database saw it. `replica`: who changed it. */
export interface Transition {
  readonly callbackId: string
  /** Epoch milliseconds by a clock that no step touches. */
  readonly atMs: number
  readonly replica: string
  readonly from: string
  /** `deleted` where the row was. */
  readonly to: string
  /** Who had claimed it before, and after. */
  readonly oldWorker: number | undefined
  readonly newWorker: number | undefined
  /** Where it is taken from its worker: whether that one has proved for a while, without a break, that it lives. */
  readonly isWorkerAlive: boolean
}

/** When answers were stored, by object; each list in no order. Epoch milliseconds by a clock that no step touches. */
export type Stores = ReadonlyMap<number, readonly number[]>
