import type { ObjectId } from '#fetching/object-id.ts'

/** The right to work on one callback for a while. Its paths contain a token and no id of the callback. */
export interface Lease {
  /** Path of the lease itself, such as /v1/leases/0190b0a6-… */
  readonly location: string
  /** Path that takes its objects. */
  readonly objects: string
  /** The objects that are still wanted: distinct, in the order in which the callback names them. */
  readonly objectIds: readonly ObjectId[]
  /** Counts from 1 and includes this attempt. */
  readonly attempt: number
  /** Time from the last use of the lease to its end. */
  readonly durationMs: number
  readonly trace: {
    readonly traceparent?: string | undefined
    readonly tracestate?: string | undefined
    readonly baggage?: string | undefined
  }
  readonly requestId: string | undefined
}

/** What the client service said about an object. */
export interface DeliveredObject {
  readonly id: ObjectId
  readonly online: boolean
}

/** An object that was not delivered, and why. A `pending` object is fetched again in a later attempt. */
export interface Unstored {
  readonly id: ObjectId
  readonly outcome: 'not_found' | 'failed' | 'pending'
  readonly reason?: string
}

/** How a leased callback leaves the agent. */
export type Verdict =
  | { readonly state: 'completed'; readonly unstored: readonly Unstored[] }
  /** The callback goes back. An attempt that is not charged does not count towards the attempts of the callback. */
  | { readonly state: 'pending'; readonly unstored: readonly Unstored[]; readonly isCharged: boolean; readonly retryAfterMs: number }

/** The callback service, as the agent needs it. Each method sends one request. */
export interface Answerback {
  /**
   * Asks for callbacks, and waits until there are any or the time is over.
   * @throws {AnswerbackUnavailableError} it got none; a later request may
   */
  lease(ask: { readonly callbacks: number; readonly objects: number; readonly waitSeconds: number }, signal: AbortSignal): Promise<Lease[]>
  /**
   * Delivers objects. Resolves when they are stored on the disk. Safe to repeat.
   * @param objects distinct by id, 1 to `MAX_DELIVERED`
   * @throws {LeaseLostError | AnswerbackUnavailableError | RequestRefusedError}
   */
  deliver(lease: Lease, objects: readonly DeliveredObject[]): Promise<void>
  /** Makes the lease last longer. @throws {LeaseLostError | AnswerbackUnavailableError | RequestRefusedError} */
  extend(lease: Lease): Promise<void>
  /**
   * Gives the callback back, or finishes it.
   * @returns the state that it got
   * @throws {LeaseLostError | AnswerbackUnavailableError | RequestRefusedError}
   */
  end(lease: Lease, verdict: Verdict): Promise<string>
}

/** Maximum number of objects in one delivery. */
export const MAX_DELIVERED = 1000
