import type { ObjectId } from '../object-id.ts'

/** A callback that one worker works on, until it is settled or taken over. */
export interface ClaimedCallback {
  /** UUID */
  readonly id: string
  /** Proves the claim: settling without it changes nothing. */
  readonly token: string
  /** Counts from 1, this attempt included. Attempts that ended with their worker do not count. */
  readonly attempt: number
  /** Times its worker was lost while it ran. */
  readonly crashes: number
  /** What is still to be fetched: distinct, in the order they were named. */
  readonly missingIds: readonly ObjectId[]
  /** What earlier attempts found out for good. */
  readonly unstored: readonly Unstored[]
  /** When it was accepted: epoch milliseconds by the database's clock. */
  readonly receivedAtMs: number
  /** How long it waited for this claim since it was accepted. */
  readonly waitedMs: number
  /** A fetch that left at or after this moment of this process's monotonic clock left after the callback was accepted. */
  readonly freshFromMs: number
  readonly trace: {
    readonly traceparent?: string | undefined
    readonly tracestate?: string | undefined
    readonly baggage?: string | undefined
  }
  readonly requestId: string | undefined
}

/** An object that was not stored, and what became of it instead. `pending` will be fetched again. */
export interface Unstored {
  readonly id: ObjectId
  readonly outcome: 'offline' | 'not_found' | 'failed' | 'pending'
  readonly reason?: string
}

/** How a claimed callback leaves its worker. */
export type Verdict =
  | { readonly state: 'completed' | 'failed'; readonly unstored: readonly Unstored[] }
  /** Back to the inbox; an attempt that is not charged does not count towards the last one. */
  | { readonly state: 'pending'; readonly unstored: readonly Unstored[]; readonly delayMs: number; readonly isCharged: boolean }
