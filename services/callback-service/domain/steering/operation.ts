import type { ObjectId } from '#fetching/object-id.ts'
import type { CallbackState } from '../callback.ts'
import { CHANGEABLE, type Change } from './change.ts'

/** `counting`: it counts what matches, and changes nothing. `running`: it changes callbacks. The others are final. */
export const OPERATION_STATES = ['counting', 'running', 'completed', 'aborted'] as const

export type OperationState = (typeof OPERATION_STATES)[number]

/** Selects callbacks of the workspace of the operation. A member that is undefined selects all. */
export interface OperationFilter {
  readonly state: CallbackState | undefined
  /** At least one of its objects has this reason. */
  readonly reason: string | undefined
  readonly objectId: ObjectId | undefined
  /** At or after this time. */
  readonly receivedAfter: Date | undefined
  /** Before this time. */
  readonly receivedBefore: Date | undefined
}

/** What somebody asks for: one change of all callbacks that match. */
export interface NewOperation {
  readonly change: Change
  readonly filter: OperationFilter
  /** It ends after counting. */
  readonly isDryRun: boolean
  /** Callbacks that it changes a second, over all replicas. Null: as many as it can. Undefined: the setting of the service. */
  readonly ratePerSecond: number | null | undefined
}

/** One change of many callbacks, in steps. It looks only at callbacks received before it was created. */
export interface Operation extends NewOperation {
  /** UUID */
  readonly id: string
  readonly workspace: string
  readonly state: OperationState
  readonly ratePerSecond: number | null
  /** Callbacks that it found so far while counting. Once it has ended, it equals done and skipped together, unless it was a dry run. */
  readonly matched: number
  /** Callbacks that it has changed. */
  readonly done: number
  /** Callbacks that matched while counting, but not when it came to them. 0 until it has ended. */
  readonly skipped: number
  readonly createdAt: Date
  readonly finishedAt: Date | null
}

/** Its place in a list. The list is ordered by time of creation and id, newest first. */
export interface OperationPosition {
  /** Epoch microseconds, as decimal digits. */
  readonly createdUs: string
  readonly id: string
}

/** The states in which a change can find a callback, if the filter names none. A retry must not touch what succeeded unless somebody says so. */
export function defaultState({ kind }: Change): CallbackState | undefined {
  return kind === 'retry' ? 'failed' : undefined
}

export function canChange({ kind }: Change, state: CallbackState): boolean {
  return (CHANGEABLE[kind] as readonly CallbackState[]).includes(state)
}

/** Time until an operation has looked at all callbacks, at the longest. Null: unknown, or it has ended. */
export function etaMs({ state, matched, done, ratePerSecond }: Operation): number | null {
  if (state !== 'running' || ratePerSecond === null) return null
  return Math.round((Math.max(0, matched - done) / ratePerSecond) * 1000)
}

/** Unfinished operations that a workspace may have. */
export const MAX_OPERATIONS = 16

/** The workspace has as many unfinished operations as it may have. Nothing was created. */
export class TooManyOperationsError extends Error {
  readonly code = 'too_many_operations'
}
