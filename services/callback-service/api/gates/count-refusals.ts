import type { Request } from 'express'
import { refusedWith } from '#foundation/http/refused-connections.ts'
import type { Refusal } from '#foundation/http/server.ts'
import type { ObserveRequest } from '#foundation/http/telemetry.ts'

/** Counts what the server refuses before the app sees it, like every other answer; callbacks among it as callbacks too. */
export function countRefusals(observe: ObserveRequest, onReceived: (outcome: string) => void): (refusal: Refusal) => void {
  return ({ code, status, method, url }) => {
    observe({ method, route: 'unmatched', status }, 0)
    if (method === 'POST' && url?.split('?')[0] === '/callback') onReceived(code)
  }
}

/** Counts the callbacks that their route refuses. What the server has cut off looks like a sender that went away. */
export function countCallbackProblems(onReceived: (outcome: string) => void): (request: Request, code: string) => void {
  return ({ method, route, socket }, code) => {
    if (method === 'POST' && route?.path === '/callback') onReceived(refusedWith.get(socket) ?? code)
  }
}
