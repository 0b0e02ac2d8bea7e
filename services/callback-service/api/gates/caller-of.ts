import type { Request } from 'express'
import type { Caller } from '../../domain/workspaces/caller.ts'

const callers = new WeakMap<Request, Caller>()

/** Notes who sent a request. Only the gate does this. */
export function setCaller(request: Request, caller: Caller): void {
  callers.set(request, caller)
}

/** Returns who sent a request, and the workspace that the request is about. @throws {Error} the request did not pass the gate */
export function callerOf(request: Request): Caller {
  const caller = callers.get(request)
  if (!caller) throw new Error('the request did not pass the gate')
  return caller
}

/** Returns who sent a request; undefined if the gate refused it or has not seen it. */
export function knownCallerOf(request: Request): Caller | undefined {
  return callers.get(request)
}
