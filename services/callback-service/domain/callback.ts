import type { ObjectId } from './object-id.ts'
import type { Unstored } from './processing/claimed-callback.ts'

/**
 * Where a callback can go from each of its states. `pending`: accepted, waits for a worker. `running`: a worker has it; it goes back to `pending`
 * to be tried again, or when its worker is lost. `completed`: of every object it is known what became of it. `failed`: given up.
 */
export const TRANSITIONS = {
  pending: ['running'],
  running: ['pending', 'completed', 'failed'],
  completed: [],
  failed: [],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type CallbackState = keyof typeof TRANSITIONS

export const CALLBACK_STATES = Object.keys(TRANSITIONS) as readonly CallbackState[]

/** What readers get of every callback. */
interface CallbackFacts {
  /** UUID */
  readonly id: string
  readonly state: CallbackState
  readonly attempts: number
  readonly requestId: string | null
  readonly traceparent: string | null
  readonly receivedAt: Date
  /** When it is to be worked on, while it is pending. */
  readonly dueAt: Date
  readonly finishedAt: Date | null
}

/** A callback as readers see it. */
export interface CallbackView extends CallbackFacts {
  readonly objectIds: readonly ObjectId[]
  /** undefined before the first attempt has ended */
  readonly unstored: readonly Unstored[] | undefined
}

/** A callback in a list: without its objects, of which there may be a thousand. */
export interface ListedCallback extends CallbackFacts {
  readonly objectCount: number
  /** Where it stands in the list: newest first, by the time it was received and its id. */
  readonly position: CallbackPosition
}

export interface CallbackPosition {
  /** Epoch microseconds, in digits. */
  readonly receivedUs: string
  readonly id: string
}

/** Which callbacks are asked for. */
export interface CallbackFilter {
  readonly state: CallbackState | undefined
  /** At or after this time. */
  readonly receivedAfter: Date | undefined
  /** Before this time. */
  readonly receivedBefore: Date | undefined
  readonly objectId: ObjectId | undefined
}
