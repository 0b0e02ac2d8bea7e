import type { CallbackState } from '../callback.ts'

/** A callback of a workspace. */
export interface CallbackKey {
  readonly workspace: string
  readonly id: string
}

/** What somebody may change of a callback that is not finished. Members that are absent stay as they are. */
export interface CallbackChanges {
  /** False: no worker claims it. If it runs, its attempt goes on, and there is no further one. */
  readonly activated?: boolean
  /** -100 to 100; higher is claimed first. */
  readonly priority?: number
  /** Labels that an agent needs for it. Null: those of its workspace. */
  readonly agentLabels?: readonly string[] | null
}

/**
 * The state in which a change found a callback. `spooled`: it waits in the spool of this process, where nobody can change it. Undefined: the
 * workspace has no such callback.
 */
export type Found = CallbackState | 'spooled' | undefined
