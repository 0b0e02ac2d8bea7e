import type { ChangedCallback } from '../../../domain/streaming/changed-callback.ts'

/** A callback that has changed. */
export function changed(changes: Partial<ChangedCallback> = {}): ChangedCallback {
  return {
    id: '01890a5d-ac96-774b-bcce-b302099a8057',
    workspace: 'default',
    state: 'pending',
    priority: 0,
    wish: null,
    attempts: 0,
    objectCount: 1,
    requestId: null,
    traceparent: null,
    receivedAt: new Date(0),
    dueAt: new Date(0),
    finishedAt: null,
    wasRetried: false,
    wasSteered: false,
    watched: [],
    ...changes,
  }
}
