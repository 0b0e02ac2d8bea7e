import { Router } from 'express'
import { HttpProblem, methodNotAllowed } from '#foundation/http/problems.ts'
import type { ObjectId } from '../../domain/object-id.ts'
import type { Unstored } from '../../domain/processing/claimed-callback.ts'
import { sendJson } from '../json.ts'
import { toProblem } from '../problems.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** A callback as the reader finds it. */
export interface CallbackView {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly objectIds: readonly ObjectId[]
  /** undefined before the first attempt has ended */
  readonly unstored: readonly Unstored[] | undefined
  readonly requestId: string | null
  readonly traceparent: string | null
  readonly receivedAt: Date
  readonly dueAt: Date
  readonly finishedAt: Date | null
}

/** `GET /v1/callbacks/:id`: where a callback stands, and what became of each of its objects. */
export function readCallbackRoutes(find: (id: string) => Promise<CallbackView | undefined>): Router {
  return Router({ caseSensitive: true, strict: true })
    .get('/v1/callbacks/:id', async (request, response) => {
      const { id } = request.params
      if (!UUID.test(id)) throw new HttpProblem('invalid_id', 'The id of a callback is a UUID.')
      const callback = await find(id).catch(error => {
        throw toProblem(error) ?? error
      })
      if (!callback) throw new HttpProblem('callback_not_found', 'There is no callback with this id, or none any more.')
      sendJson(response, 200, textOf(callback))
    })
    .all('/v1/callbacks/:id', methodNotAllowed('GET', 'HEAD'))
}

/** By hand as far as ids go: JSON.stringify with exact ids takes ten times as long, and a thousand of them would hold up everybody. */
function textOf(callback: CallbackView): string {
  const unstored = new Map(callback.unstored?.map(object => [object.id, object]))
  const isUntouched = callback.unstored === undefined
  const objects = callback.objectIds.map(id => {
    const { outcome, reason } = unstored.get(id) ?? { outcome: isUntouched ? 'pending' : 'stored', reason: undefined }
    return `{"id":${id},"href":"/v1/objects/${id}",${JSON.stringify({ outcome, reason }).slice(1)}`
  })
  const rest = JSON.stringify({
    kind: 'Callback',
    id: callback.id,
    href: `/v1/callbacks/${callback.id}`,
    state: callback.state,
    attempts: callback.attempts,
    object_count: callback.objectIds.length,
    received_at: callback.receivedAt,
    ...(callback.state === 'pending' && { due_at: callback.dueAt }),
    ...(callback.finishedAt && { finished_at: callback.finishedAt }),
    request_id: callback.requestId ?? undefined,
    trace_id: callback.traceparent?.split('-')[1],
  })
  return `${rest.slice(0, -1)},"objects":[${objects.join(',')}]}`
}
