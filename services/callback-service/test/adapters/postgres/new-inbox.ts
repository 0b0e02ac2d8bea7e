import { type NewCallback, type ReceivedCallback, newCallback as received } from '../../../adapters/new-callback.ts'
import { CallbackInbox, type CallbackInboxOptions } from '../../../adapters/postgres/callback-inbox.ts'
import type { Database } from '../../../adapters/postgres/database.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'

/** Makes an inbox with the bounds of the service. @returns the inbox, and the sizes of its commits */
export function newInbox(database: Database, changes: Partial<CallbackInboxOptions> = {}) {
  const commits: number[] = []
  const inbox = new CallbackInbox({
    prisma: database.prisma,
    clock: new DatabaseClock(),
    maxBatch: 256,
    maxInFlight: 2,
    maxWaiting: 5000,
    timeoutMs: 1800,
    onCommit: size => commits.push(size),
    onArrived: () => undefined,
    ...changes,
  })
  return { inbox, commits }
}

/** Makes a callback as the API receives it. `id` replaces the id that it would get. */
export function newCallback({ id, ...changes }: Partial<ReceivedCallback & { id: string }> = {}): NewCallback {
  const callback = received({
    workspace: 'default',
    objectIds: [1n, 2n],
    idempotencyKey: undefined,
    requestId: undefined,
    trace: {},
    ...changes,
  })
  return id === undefined ? callback : { ...callback, id }
}
