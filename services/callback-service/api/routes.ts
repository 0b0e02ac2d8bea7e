import { type Check, healthRoutes } from '#foundation/http/health.ts'
import type { Route } from '#foundation/http/route.ts'
import { withSelfDescription } from '#foundation/http/self-description.ts'
import { MAX_DELIVERED } from '../domain/leasing/parse-delivery.ts'
import { type AgentCallbacks, agentCallbackRoutes } from './agents/agent-callback-routes.ts'
import { type Agents, agentRoutes } from './agents/agent-routes.ts'
import { type Cancelling, cancelCallback, flushCallbacks } from './callbacks/cancel-callbacks.ts'
import { type CallbackReads, getCallback } from './callbacks/get-callback.ts'
import { getTimeline, type ReadTimeline } from './callbacks/get-timeline.ts'
import { type ListCallbacks, listCallbacks } from './callbacks/list-callbacks.ts'
import { type PostCallbackOptions, postCallback } from './callbacks/post-callback.ts'
import { type Steering, steerCallback } from './callbacks/steer-callback.ts'
import { limitChanges } from './gates/limit-changes.ts'
import { getLease } from './leases/get-lease.ts'
import type { LeaseUses } from './leases/lease-use.ts'
import { patchLease } from './leases/patch-lease.ts'
import { type PostLeasesOptions, postLeases } from './leases/post-leases.ts'
import { putObjects } from './leases/put-objects.ts'
import { getLedger, type LedgerReader } from './ledger/get-ledger.ts'
import { type LedgerKeysReader, listLedgerKeys } from './ledger/list-ledger-keys.ts'
import { type ObjectReader, readObjects } from './objects/read-objects.ts'
import { type Operations, operationRoutes } from './operations/operation-routes.ts'
import { PROBLEMS } from './problem-kinds.ts'
import { getStream, type StreamOptions } from './stream/get-stream.ts'
import { type AccessKeys, keyRoutes } from './workspaces/key-routes.ts'
import { type Workspaces, workspaceRoutes } from './workspaces/workspace-routes.ts'

export interface RoutesOptions {
  readonly accepting: PostCallbackOptions
  readonly checks: readonly Check[]
  readonly callbacks: CallbackReads & { readonly list: ListCallbacks }
  readonly steering: Steering & Cancelling & { readonly timeline: ReadTimeline }
  readonly objects: ObjectReader
  readonly operations: Operations
  readonly leasing: PostLeasesOptions
  readonly leases: LeaseUses
  readonly ledger: LedgerReader & LedgerKeysReader
  readonly stream: StreamOptions
  readonly workspaces: Workspaces
  readonly keys: AccessKeys
  readonly agents: Agents & AgentCallbacks
  /** Whether a workspace may have its client service there. */
  readonly isAllowedUrl: (url: URL) => boolean
  /** Whether callers may come without a key. */
  readonly isOpen: boolean
}

/** Returns all routes of the port for senders and readers, in the order in which the router tries them. */
export function callbackServiceRoutes(options: RoutesOptions): readonly Route[] {
  const {
    accepting,
    checks,
    callbacks,
    steering,
    objects,
    operations,
    leasing,
    ledger,
    stream,
    workspaces,
    keys,
    agents,
    isAllowedUrl,
    isOpen,
  } = options
  return withSelfDescription({
    title: 'Answerback',
    description: 'Receives callbacks that name objects by id, fetches every object from the client service, and keeps it for a while.',
    routes: [
      postCallback(accepting),
      ...healthRoutes(checks),
      listCallbacks(callbacks.list),
      // Before the routes of a single callback, which would take `flush` for an id.
      flushCallbacks(steering),
      getCallback(callbacks, accepting.waiters),
      ...steerCallback(steering),
      cancelCallback(steering),
      getTimeline(steering.timeline),
      ...readObjects(objects),
      postLeases(leasing),
      ...useLeases(options),
      getLedger(ledger),
      listLedgerKeys(ledger),
      getStream(stream),
      ...limitChanges([
        ...operationRoutes(operations),
        ...workspaceRoutes(workspaces, isAllowedUrl),
        ...keyRoutes(keys),
        ...agentRoutes(agents),
        ...agentCallbackRoutes(agents),
      ]),
    ],
    kinds: PROBLEMS,
    isOpen,
  })
}

/** Bytes that the outcome of one object can take in a body: its id, its outcome and its reason, with the names of these members. */
const OUTCOME_BYTES = 160
/** The same for an object that is delivered. */
const OBJECT_BYTES = 64

function useLeases({ leases, accepting: { maxBodyBytes, maxObjectIds } }: RoutesOptions): readonly Route[] {
  return [
    getLease(leases),
    patchLease({ leases, maxBodyBytes: Math.max(maxBodyBytes, OUTCOME_BYTES * maxObjectIds) }),
    putObjects({ leases, maxBodyBytes: Math.max(maxBodyBytes, OBJECT_BYTES * MAX_DELIVERED) }),
  ]
}
