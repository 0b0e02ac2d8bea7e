import { newCallbackId } from '../../adapters/callback-id.ts'
import { CallbackInbox, type CallbackInboxOptions } from '../../adapters/callback-inbox.ts'
import type { Database } from '../../adapters/database.ts'
import type { NewCallback } from '../../adapters/new-callback.ts'

/** An inbox with the bounds of the service, and the sizes of its commits. */
export function newInbox(database: Database, changes: Partial<CallbackInboxOptions> = {}) {
  const commits: number[] = []
  const inbox = new CallbackInbox({
    prisma: database.prisma,
    maxBatch: 256,
    maxInFlight: 2,
    maxWaiting: 5000,
    timeoutMs: 1800,
    onCommit: size => commits.push(size),
    ...changes,
  })
  return { inbox, commits }
}

export function newCallback(changes: Partial<NewCallback> = {}): NewCallback {
  return { id: newCallbackId(), objectIds: [1n, 2n], idempotencyKey: undefined, requestId: undefined, trace: {}, ...changes }
}
