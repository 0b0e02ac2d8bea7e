import { type Check, healthRoutes } from '#foundation/http/health.ts'
import type { Route } from '#foundation/http/route.ts'
import { withSelfDescription } from '#foundation/http/self-description.ts'
import type { CallbackView } from '../domain/callback.ts'
import { getCallback } from './callbacks/get-callback.ts'
import { type ListCallbacks, listCallbacks } from './callbacks/list-callbacks.ts'
import { type PostCallbackOptions, postCallback } from './callbacks/post-callback.ts'
import { type ObjectReader, readObjects } from './objects/read-objects.ts'
import { PROBLEMS } from './problem-kinds.ts'

export interface RoutesOptions {
  readonly accepting: PostCallbackOptions
  readonly checks: readonly Check[]
  readonly callbacks: { readonly find: (id: string) => Promise<CallbackView | undefined>; readonly list: ListCallbacks }
  readonly objects: ObjectReader
  /** Whether callers may come without a key. */
  readonly isOpen: boolean
}

/** Returns all routes of the port for senders and readers, in the order in which the router tries them. */
export function callbackServiceRoutes({ accepting, checks, callbacks, objects, isOpen }: RoutesOptions): readonly Route[] {
  return withSelfDescription({
    title: 'Answerback',
    description: 'Receives callbacks that name objects by id, fetches every object from the client service, and keeps it for a while.',
    routes: [
      postCallback(accepting),
      ...healthRoutes(checks),
      listCallbacks(callbacks.list),
      getCallback(callbacks.find),
      ...readObjects(objects),
    ],
    kinds: PROBLEMS,
    isOpen,
  })
}
