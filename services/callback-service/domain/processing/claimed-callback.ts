import type { ObjectId } from '#fetching/object-id.ts'

/** A callback that one worker works on until it settles the callback or another worker takes it over. */
export interface ClaimedCallback {
  /** UUID */
  readonly id: string
  readonly workspace: string
  /** Proves the claim. Settling with another token changes nothing. */
  readonly token: string
  /** Counts from 1 and includes this attempt. Attempts that ended with their worker do not count. */
  readonly attempt: number
  /** How often a worker was lost while it worked on this callback. */
  readonly crashes: number
  /** The objects that are still to be fetched: distinct, in the order in which the callback names them. */
  readonly missingIds: readonly ObjectId[]
  /** The final outcomes of earlier attempts. */
  readonly unstored: readonly Unstored[]
  /** When the callback was accepted, or its current round began: epoch milliseconds by the database's clock. */
  readonly receivedAtMs: number
  /** Time from then to this claim. */
  readonly waitedMs: number
  /** A moment of this process's monotonic clock. A fetch that left at or after it left after `receivedAtMs`. */
  readonly freshFromMs: number
  readonly trace: TraceCarrier
  readonly requestId: string | undefined
}

/** The trace of a callback, as its sender wrote it. */
export interface TraceCarrier {
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  readonly baggage?: string | undefined
}

/** An object that was not stored, and its outcome. A `pending` object is fetched again in the next attempt. */
export interface Unstored {
  readonly id: ObjectId
  readonly outcome: 'offline' | 'not_found' | 'failed' | 'pending'
  readonly reason?: string
}

/** How a claimed callback leaves its worker. */
export type Verdict =
  | { readonly state: 'completed' | 'failed'; readonly unstored: readonly Unstored[] }
  /** The callback goes back to the inbox. An attempt that is not charged does not count towards `maxAttempts`. */
  | { readonly state: 'pending'; readonly unstored: readonly Unstored[]; readonly delayMs: number; readonly isCharged: boolean }
