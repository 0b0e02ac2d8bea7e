import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter, queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { type CallbackView, isFinished } from '../../domain/callback.ts'
import { callerOf, readmitCaller } from '../gates/caller-of.ts'
import { UUID, Uuid } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { CALLBACK_EXAMPLE, CallbackSchema, callbackText } from './representation.ts'
import { MAX_WAIT_SECONDS, readWait, type Waiters, waitFor } from './waiting.ts'

export type FindCallback = (workspace: string, id: string) => Promise<CallbackView | undefined>

export interface CallbackReads {
  readonly find: FindCallback
  /** The same at the end of a wait. Many waits may end at the same moment, and none of them is refused for that. */
  readonly findAfterWait: FindCallback
}

/**
 * `GET /v1/callbacks/:id`: shows the state of a callback and the outcome of each of its objects. With `wait`, it waits until the callback is
 * finished. A request that waits takes no place from other reads.
 */
export function getCallback({ find, findAfterWait }: CallbackReads, waiters: Waiters): Route {
  return route({
    method: 'GET',
    path: '/v1/callbacks/:id',
    operationId: 'getCallback',
    summary: 'Returns the state of a callback and the outcome of each of its objects',
    access: 'follow',
    limits: 'reads',
    params: Type.Object({ id: Uuid }),
    query: Type.Object({
      wait: Type.Optional(
        Type.Integer({ minimum: 0, maximum: MAX_WAIT_SECONDS, description: 'Seconds to wait until the callback is finished.' }),
      ),
    }),
    answers: { 200: { description: 'The callback.', schema: CallbackSchema, example: CALLBACK_EXAMPLE } },
    problems: ['invalid_id', 'invalid_parameter', 'callback_not_found', 'too_many_reads', 'storage_unavailable'],
    parse(request) {
      const id = pathParameter(request, 'id')
      if (!UUID.test(id)) throw new HttpProblem('invalid_id', 'The id of a callback is a UUID.')
      // Postgres ignores case, the spool does not.
      const caller = callerOf(request)
      return {
        workspace: caller.workspace.name,
        id: id.toLowerCase(),
        query: workspaceQuery(caller),
        waitSeconds: queryParameter(request, 'wait', readWait, `0 to ${MAX_WAIT_SECONDS}`) ?? 0,
        readmit: () => readmitCaller(request),
      }
    },
    async execute({ workspace, id, query, waitSeconds, readmit }, response) {
      const found = required(await find(workspace, id))
      const place = waitSeconds > 0 && !isFinished(found.state) && waiters.take(id, { waitMs: waitSeconds * 1000, mayBeFinished: false })
      if (!place) return jsonAnswer(200, callbackText(found, query))
      const finished = await waitFor(place, response)
      // Nobody reads the answer.
      if (response.destroyed) return undefined
      readmit()
      return jsonAnswer(200, callbackText(finished ?? required(await findAfterWait(workspace, id)), query))
    },
  })
}

function required(callback: CallbackView | undefined): CallbackView {
  if (!callback) throw new HttpProblem('callback_not_found', 'No callback has this id, or the service has deleted it.')
  return callback
}
