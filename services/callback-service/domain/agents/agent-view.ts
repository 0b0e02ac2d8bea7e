import type { CallbackState } from '../callback.ts'
import type { KnownAgent } from './agent.ts'

/** An agent of a workspace. */
export interface AgentKey {
  readonly workspace: string
  readonly id: string
}

/** An agent as readers see it. */
export interface AgentView extends Omit<KnownAgent, 'isArchived'> {
  readonly description: string
  /** What it last said of itself. Empty: nothing. */
  readonly version: string
  readonly isAlive: boolean
  readonly lastSeenAt: Date | null
  /** Callbacks that it holds, or that are assigned to it. More than `MAX_COUNTED` are not counted. */
  readonly callbacks: number
  readonly objectsDelivered: number
  readonly callbacksFinished: number
  readonly leasesLapsed: number
  readonly createdAt: Date
  readonly archivedAt: Date | null
}

export const MAX_COUNTED = 10_000

/** A callback that an agent holds, or that is assigned to it. */
export interface AgentCallback {
  readonly id: string
  readonly state: CallbackState
  /** Null: the agent does not hold it. */
  readonly leasedAt: Date | null
  readonly leaseExpiresAt: Date | null
  readonly isAssigned: boolean
  readonly objects: number
  /** Objects that it has delivered with its lease. */
  readonly delivered: number
}

/** What became of an assignment by hand. Only `assigned` has changed something, or was so already. */
export type Assignment =
  | 'assigned'
  | 'agent_not_found'
  | 'agent_archived'
  | 'callback_not_found'
  | 'callback_spooled'
  | 'callback_finished'
  | 'fetcher_is_service'
