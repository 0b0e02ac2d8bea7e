import type { IncomingMessage } from 'node:http'
import type { Caller } from '../../domain/workspaces/caller.ts'

const callers = new WeakMap<IncomingMessage, Caller>()

export function setCaller(request: IncomingMessage, caller: Caller): void {
  callers.set(request, caller)
}

/** @throws {Error} no gate has said who sent the request, which is a bug */
export function callerOf(request: IncomingMessage): Caller {
  const caller = callers.get(request)
  if (!caller) throw new Error('no gate has said who sent this request')
  return caller
}
