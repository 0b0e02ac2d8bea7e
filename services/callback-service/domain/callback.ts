import type { ObjectId } from '#fetching/object-id.ts'
import type { Unstored } from './processing/claimed-callback.ts'

/**
 * The states of a callback, each with the states that can follow it. `pending`: it waits for a worker. `paused`: no worker claims it until
 * somebody resumes it. `running`: a worker has it. It leaves for `pending`, `paused` or `cancelled` after an attempt that did not end it, or
 * if its worker is lost. `completed`: every object has its outcome. `failed`: the service gave up. `cancelled`: somebody did. A finished
 * callback becomes `pending` if somebody sends it round again.
 */
export const TRANSITIONS = {
  pending: ['running', 'paused', 'cancelled'],
  running: ['pending', 'paused', 'completed', 'failed', 'cancelled'],
  completed: ['pending'],
  failed: ['pending'],
  paused: ['pending', 'cancelled'],
  cancelled: ['pending'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type CallbackState = keyof typeof TRANSITIONS

export const CALLBACK_STATES = Object.keys(TRANSITIONS) as readonly CallbackState[]

/** Whether a callback in this state waits for nothing any more. */
export function isFinished(state: CallbackState): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled'
}

/** What every view of a callback has. */
interface CallbackFacts {
  /** UUID */
  readonly id: string
  readonly workspace: string
  readonly state: CallbackState
  /** -100 to 100; higher is claimed first. */
  readonly priority: number
  /** What becomes of it when it goes back to the inbox; null: it waits there. */
  readonly wish: string | null
  readonly attempts: number
  readonly requestId: string | null
  readonly traceparent: string | null
  readonly receivedAt: Date
  /** When its next attempt may start. Only meaningful while it is pending. */
  readonly dueAt: Date
  readonly finishedAt: Date | null
}

/** Whether workers may go on with it: false if somebody paused it, also if an attempt is under way. */
export function isActivated({ state, wish }: Pick<CallbackFacts, 'state' | 'wish'>): boolean {
  return state !== 'paused' && (isFinal(state) || wish !== 'pause')
}

function isFinal(state: CallbackState): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled'
}

/** A callback as readers see it. */
export interface CallbackView extends CallbackFacts {
  readonly objectIds: readonly ObjectId[]
  /** Objects that are not stored. Undefined until the first attempt has ended. */
  readonly unstored: readonly Unstored[] | undefined
  /** Labels that an agent needs for it. None: those of its workspace, or somebody said that any agent suits. */
  readonly agentLabels?: readonly string[]
  /** The agent that has leased it. */
  readonly agentId?: string | null
  /** The only agent that may lease it. */
  readonly assignedTo?: string | null
}

/** A callback in a list. It has only the number of its objects, because there may be 1,000. */
export interface ListedCallback extends CallbackFacts {
  readonly objectCount: number
  /** Its place in the list. The list is ordered by time of receipt and id, newest first. */
  readonly position: CallbackPosition
}

export interface CallbackPosition {
  /** Epoch microseconds, as decimal digits. */
  readonly receivedUs: string
  readonly id: string
}

/** Selects callbacks of one workspace. A member that is undefined selects all. */
export interface CallbackFilter {
  readonly workspace: string
  readonly state: CallbackState | undefined
  /** At or after this time. */
  readonly receivedAfter: Date | undefined
  /** Before this time. */
  readonly receivedBefore: Date | undefined
  readonly objectId: ObjectId | undefined
}
