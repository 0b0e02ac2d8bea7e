import { type Check, healthRoutes } from '#foundation/http/health.ts'
import type { Route } from '#foundation/http/route.ts'
import { withSelfDescription } from '#foundation/http/self-description.ts'
import type { CallbackView } from '../domain/callback.ts'
import { getCallback } from './callbacks/get-callback.ts'
import { type ListCallbacks, listCallbacks } from './callbacks/list-callbacks.ts'
import { type PostCallbackOptions, postCallback } from './callbacks/post-callback.ts'
import { limitChanges } from './gates/limit-changes.ts'
import { type ObjectReader, readObjects } from './objects/read-objects.ts'
import { PROBLEMS } from './problem-kinds.ts'
import { getStream, type StreamOptions } from './stream/get-stream.ts'
import { type AccessKeys, keyRoutes } from './workspaces/key-routes.ts'
import { type Workspaces, workspaceRoutes } from './workspaces/workspace-routes.ts'

export interface RoutesOptions {
  readonly accepting: PostCallbackOptions
  readonly checks: readonly Check[]
  readonly callbacks: { readonly find: (workspace: string, id: string) => Promise<CallbackView | undefined>; readonly list: ListCallbacks }
  readonly objects: ObjectReader
  readonly stream: StreamOptions
  readonly workspaces: Workspaces
  readonly keys: AccessKeys
  /** Whether a workspace may have its client service there. */
  readonly isAllowedUrl: (url: URL) => boolean
  /** Whether callers may come without a key. */
  readonly isOpen: boolean
}

/** Returns all routes of the port for senders and readers, in the order in which the router tries them. */
export function callbackServiceRoutes(options: RoutesOptions): readonly Route[] {
  const { accepting, checks, callbacks, objects, stream, workspaces, keys, isAllowedUrl, isOpen } = options
  return withSelfDescription({
    title: 'Answerback',
    description: 'Receives callbacks that name objects by id, fetches every object from the client service, and keeps it for a while.',
    routes: [
      postCallback(accepting),
      ...healthRoutes(checks),
      listCallbacks(callbacks.list),
      getCallback(callbacks.find),
      ...readObjects(objects),
      getStream(stream),
      ...limitChanges([...workspaceRoutes(workspaces, isAllowedUrl), ...keyRoutes(keys)]),
    ],
    kinds: PROBLEMS,
    isOpen,
  })
}
