import type { ObjectId } from '#fetching/object-id.ts'
import type { ClaimedCallback } from '../processing/claimed-callback.ts'
import type { Lease } from './lease.ts'

/** What a request says of the lease that it uses. */
export interface LeaseKey {
  /** UUID, in lower case. */
  readonly token: string
  readonly workspace: string
  /** The agent of the key. Undefined: the caller may use the leases of all agents of the workspace. */
  readonly agentId: string | undefined
}

/** A live lease, as it was read just now. */
export interface HeldLease {
  readonly lease: Lease
  readonly agentName: string
  /** The callback as one attempt has it: its `missingIds` are all that the lease has asked for, its `unstored` the outcomes of earlier attempts. */
  readonly callback: ClaimedCallback
  /** All objects for which the lease has asked. */
  readonly asked: ReadonlySet<ObjectId>
  /** Those of them that came with this lease and are stored. */
  readonly delivered: ReadonlySet<ObjectId>
  /** Those that came and are offline, in a workspace that keeps only objects that are online. */
  readonly offline: readonly ObjectId[]
  /** When the lease was given, by this process's monotonic clock. Never later than it was. */
  readonly leasedAtMs: number
  /** The same in epoch milliseconds, by the database's clock. */
  readonly leasedEpochMs: number
}
