import type { ObjectId } from '#fetching/object-id.ts'
import type { CallbackState } from '../callback.ts'
import type { ChangedCallback } from './changed-callback.ts'

/** Selects callbacks of a stream. A member that is undefined selects all. */
export interface StreamFilter {
  readonly states: readonly CallbackState[] | undefined
  readonly objectId: ObjectId | undefined
}

/** Whether a listener gets a callback when it connects. */
export function isSelected({ states, objectId }: StreamFilter, callback: ChangedCallback): boolean {
  return namesObject(objectId, callback) && (states === undefined || states.includes(callback.state))
}

/**
 * Whether a listener gets a callback that has changed: if the filter selects it, or may have selected it before, so that the listener can remove
 * it. Nobody remembers what a listener got, because it may have got that from another replica. So a listener may get a callback that it never had.
 */
export function concerns(filter: StreamFilter, callback: ChangedCallback): boolean {
  return (
    isSelected(filter, callback) ||
    (namesObject(filter.objectId, callback) && (filter.states ?? []).some(state => mayHaveBeen(state, callback)))
  )
}

function mayHaveBeen(state: CallbackState, { wasRetried, wasSteered }: ChangedCallback): boolean {
  switch (state) {
    case 'pending':
    case 'running':
      return true
    case 'paused':
      return wasSteered
    case 'completed':
    case 'failed':
    case 'cancelled':
      return wasRetried
  }
}

function namesObject(objectId: ObjectId | undefined, { watched }: ChangedCallback): boolean {
  return objectId === undefined || watched.includes(objectId)
}
