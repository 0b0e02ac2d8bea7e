import type { Request } from 'express'
import { HttpProblem } from '#foundation/http/problems.ts'
import type { Caller } from '../../domain/workspaces/caller.ts'

/** Returns the caller as it is now. @throws {HttpProblem} its key no longer counts */
export type Readmit = (caller: Caller) => Caller

interface Admission {
  readonly caller: Caller
  readonly readmit: Readmit
}

const admissions = new WeakMap<Request, Admission>()

/** Notes who sent a request, and how to find out whether that still holds. Only the gate does this. */
export function setCaller(request: Request, caller: Caller, readmit: Readmit = same => same): void {
  admissions.set(request, { caller, readmit })
}

/**
 * Looks again who sent a request. Call it when a body has come: that can take seconds, in which the key may be revoked or the workspace archived.
 * From then on, `callerOf` returns the caller as it is now.
 * @throws {HttpProblem} invalid_key
 */
export function readmitCaller(request: Request): void {
  const { caller, readmit } = admissionOf(request)
  setCaller(request, readmit(caller), readmit)
}

/** Whether the key of a request that has waited still counts. */
export function isStillAdmitted(request: Request): boolean {
  const { caller, readmit } = admissionOf(request)
  try {
    readmit(caller)
    return true
  } catch (error) {
    if (error instanceof HttpProblem) return false
    throw error
  }
}

/** Returns who sent a request, and the workspace that the request is about. @throws {Error} the request did not pass the gate */
export function callerOf(request: Request): Caller {
  return admissionOf(request).caller
}

/** Returns who sent a request; undefined if the gate refused it or has not seen it. */
export function knownCallerOf(request: Request): Caller | undefined {
  return admissions.get(request)?.caller
}

function admissionOf(request: Request): Admission {
  const admission = admissions.get(request)
  if (!admission) throw new Error('the request did not pass the gate')
  return admission
}
