import type { ObjectId } from '#fetching/object-id.ts'
import type { TraceCarrier } from '../processing/claimed-callback.ts'

/** A callback that one agent works on until it finishes it, gives it back, or lets the time of the lease pass. */
export interface Lease {
  /** UUIDv7. It proves the lease, and is all that an agent learns of the callback's identity. */
  readonly token: string
  readonly agentId: string
  /** Id of the callback. Agents do not see it. */
  readonly callbackId: string
  readonly workspace: string
  /** The objects that are still wanted: distinct, in the order in which the callback names them. */
  readonly objectIds: readonly ObjectId[]
  /** Counts from 1 and includes this lease. */
  readonly attempt: number
  readonly receivedAt: Date
  /** By the database's clock. The agent asks for the objects after this moment, because it learns of them then. */
  readonly leasedAt: Date
  readonly expiresAt: Date
  /** Time from the answer of the database to `expiresAt`. */
  readonly expiresInMs: number
  /** Time from the receipt of the callback, or from the start of its current round, to the lease. */
  readonly waitedMs: number
  readonly trace: TraceCarrier
  readonly requestId: string | undefined
}
