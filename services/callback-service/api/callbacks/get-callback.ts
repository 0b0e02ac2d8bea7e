import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { CallbackView } from '../../domain/callback.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID, Uuid } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { CALLBACK_EXAMPLE, CallbackSchema, callbackText } from './representation.ts'

/** `GET /v1/callbacks/:id`: shows the state of a callback and the outcome of each of its objects. */
export function getCallback(find: (workspace: string, id: string) => Promise<CallbackView | undefined>): Route {
  return route({
    method: 'GET',
    path: '/v1/callbacks/:id',
    operationId: 'getCallback',
    summary: 'Returns the state of a callback and the outcome of each of its objects',
    access: 'follow',
    limits: 'reads',
    params: Type.Object({ id: Uuid }),
    answers: { 200: { description: 'The callback.', schema: CallbackSchema, example: CALLBACK_EXAMPLE } },
    problems: ['invalid_id', 'callback_not_found', 'too_many_reads', 'storage_unavailable'],
    parse(request) {
      const id = pathParameter(request, 'id')
      if (!UUID.test(id)) throw new HttpProblem('invalid_id', 'The id of a callback is a UUID.')
      // Postgres ignores case, the spool does not.
      const caller = callerOf(request)
      return { workspace: caller.workspace.name, id: id.toLowerCase(), query: workspaceQuery(caller) }
    },
    async execute({ workspace, id, query }) {
      const callback = await find(workspace, id)
      if (!callback) throw new HttpProblem('callback_not_found', 'No callback has this id, or the service has deleted it.')
      return jsonAnswer(200, callbackText(callback, query))
    },
  })
}
