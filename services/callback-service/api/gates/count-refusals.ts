import type { Request } from 'express'
import { refusedWith } from '#foundation/http/refused-connections.ts'
import type { Refusal } from '#foundation/http/server.ts'
import type { ObserveRequest } from '#foundation/http/telemetry.ts'
import { knownCallerOf } from './caller-of.ts'

/** Stands for the workspace of a callback that the service refuses before it knows who sent it. No workspace has this name. */
export const UNKNOWN_WORKSPACE = ''

/** Counts requests that the server refuses before the app sees them. If such a request is a callback, it also counts as a callback. */
export function countRefusals(
  observe: ObserveRequest,
  onReceived: (outcome: string, workspace: string) => void,
): (refusal: Refusal) => void {
  return ({ code, status, method, url }) => {
    observe({ method, route: 'unmatched', status }, 0)
    if (method === 'POST' && url?.split('?')[0] === '/callback') onReceived(code, UNKNOWN_WORKSPACE)
  }
}

/** Counts callbacks that their route refuses. If the server cut one off, the server's code counts, because the route only sees a lost connection. */
export function countCallbackProblems(onReceived: (outcome: string, workspace: string) => void): (request: Request, code: string) => void {
  return (request, code) => {
    const { method, route, socket } = request
    if (method !== 'POST' || route?.path !== '/callback') return
    onReceived(refusedWith.get(socket) ?? code, knownCallerOf(request)?.workspace.name ?? UNKNOWN_WORKSPACE)
  }
}
