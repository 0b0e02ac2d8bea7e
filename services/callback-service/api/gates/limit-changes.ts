import type { Request } from 'express'
import type { Route } from '#foundation/http/route.ts'
import { callerOf } from './caller-of.ts'
import { readLimit } from './read-limit.ts'

/** Changes that superusers may have under way. */
const MAX_OF_SUPERUSERS = 32
/** Changes that the keys of one workspace may have under way. Most are made one by one, so more would only make others wait. */
const MAX_OF_WORKSPACE = 4

/**
 * Limits the changes of workspaces, keys and operations under way. Superusers and each workspace have limits of their own, apart from those of reads. So a
 * workspace cannot keep a superuser from revoking its keys, or another workspace from managing its own. A change counts until it is made, even if
 * its caller goes away.
 * @returns the routes, of which those that change something answer too_many_reads beyond the limit
 */
export function limitChanges(routes: readonly Route[]): readonly Route[] {
  const ofSuperusers = readLimit(MAX_OF_SUPERUSERS)
  const ofWorkspaces = new Map<string, typeof ofSuperusers>()

  function limitOf(request: Request): typeof ofSuperusers {
    const { role, workspace } = callerOf(request)
    if (role === 'superuser') return ofSuperusers
    const limit = ofWorkspaces.get(workspace.name) ?? readLimit(MAX_OF_WORKSPACE)
    ofWorkspaces.set(workspace.name, limit)
    return limit
  }

  return routes.map(route =>
    route.method === 'GET' ? route : { ...route, answer: (request, response) => limitOf(request)(() => route.answer(request, response)) },
  )
}
