import type { ObjectId } from '#fetching/object-id.ts'
import type { ListedCallback } from '../callback.ts'

/** A callback as listeners see it, and what decides which of them get it. */
export interface ChangedCallback extends Omit<ListedCallback, 'position'> {
  /** Whether somebody sent it round again. */
  readonly wasRetried: boolean
  /** Whether somebody changed it from outside. Each pause does. */
  readonly wasSteered: boolean
  /** Those of the watched objects that it names. */
  readonly watched: readonly ObjectId[]
}

/** A place in the changes of a workspace: whoever has read up to it misses nothing if it goes on from there. */
export interface StreamPosition {
  /** By the database's clock, in epoch microseconds. */
  readonly atUs: number
  /** Number of the last step of that clock. Times before and after a step cannot be compared. */
  readonly clockStep: number
}
