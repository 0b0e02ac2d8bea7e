import type { Request } from 'express'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import type { CallbackKey, Found } from '../../domain/steering/steered.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID } from '../schemas.ts'

/** The problems of a request about one callback. */
export const KEY_PROBLEMS = ['invalid_id', 'invalid_parameter', 'callback_not_found', 'too_many_reads', 'storage_unavailable'] as const

/** Returns which callback a request is about. It may not exist. @throws {HttpProblem} invalid_id */
export function callbackKeyOf(request: Request): CallbackKey {
  const id = pathParameter(request, 'id')
  if (!UUID.test(id)) throw new HttpProblem('invalid_id', 'The id of a callback is a UUID.')
  // Postgres ignores case, the spool does not.
  return { workspace: callerOf(request).workspace.name, id: id.toLowerCase() }
}

export function callbackNotFound(): HttpProblem {
  return new HttpProblem('callback_not_found', 'No callback has this id, or the service has deleted it.')
}

/** Refuses a change of a callback that nobody can change where it is. @throws {HttpProblem} callback_not_found, callback_spooled */
export function requireReachable(found: Found): void {
  if (found === undefined) throw callbackNotFound()
  if (found === 'spooled') {
    throw new HttpProblem('callback_spooled', 'The callback waits in the spool until the database is back.', {
      headers: { 'Retry-After': '1' },
    })
  }
}
