import type { IncomingMessage } from 'node:http'
import type { Caller } from '../../domain/workspaces/caller.ts'

const callers = new WeakMap<IncomingMessage, Caller>()

/** Notes who sent a request. The gate calls it before the route. */
export function setCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller)
}

/** Returns who sent a request. @throws {Error} no gate has let the request in, which is a bug */
export function callerOf(request: IncomingMessage): Caller {
  const caller = callers.get(request)
  if (!caller) throw new Error('the request has no caller')
  return caller
}
