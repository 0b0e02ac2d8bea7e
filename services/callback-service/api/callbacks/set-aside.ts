import { Router } from 'express'
import { excerpt, HttpProblem, methodNotAllowed } from '#foundation/http/problems.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { ObjectId } from '../../domain/object-id.ts'
import { exactJson, sendJson } from '../json.ts'

/** More than anybody reads; the rest shows when these are gone. */
const MAX_LISTED = 1000

/** What a callback works without, and the database may refuse. */
const OPTIONAL = ['request_id', 'traceparent', 'tracestate', 'baggage'] as const
type Optional = (typeof OPTIONAL)[number]

/** A callback that was answered with 202 and that the database refuses. */
export interface AsideView {
  readonly id: string
  readonly reason: string
  readonly objectIds: readonly ObjectId[]
  readonly idempotencyKey: string | undefined
  readonly requestId: string | undefined
  readonly traceparent: string | undefined
  readonly receivedAt: Date
}

export interface SetAside {
  aside(limit: number): Promise<readonly AsideView[]>
  putBack(id: string, without: readonly Optional[]): Promise<boolean>
  drop(id: string): Promise<AsideView | undefined>
}

/**
 * For operators: `GET /set-aside` lists what the database refused, `POST /set-aside/:id/put-back` gives one to the database once more
 * (`?without=baggage,tracestate` leaves out what may be refused), `DELETE /set-aside/:id` drops one for good and answers with what it was.
 */
export function setAsideRoutes(spool: SetAside, logger: Logger): Router {
  return Router({ caseSensitive: true, strict: true })
    .get('/set-aside', async (_request, response) => {
      const items = await spool.aside(MAX_LISTED)
      sendJson(response, 200, exactJson({ kind: 'SetAsideList', size: items.length, items: items.map(representation) }))
    })
    .all('/set-aside', methodNotAllowed('GET', 'HEAD'))
    .delete('/set-aside/:id', async (request, response) => {
      const dropped = await spool.drop(request.params.id)
      if (!dropped) throw notFound()
      logger.warn({ callback_id: dropped.id, reason: dropped.reason }, 'a callback that was set aside is dropped')
      sendJson(response, 200, exactJson(representation(dropped)))
    })
    .all('/set-aside/:id', methodNotAllowed('DELETE'))
    .post('/set-aside/:id/put-back', async (request, response) => {
      const { id } = request.params
      const without = parseWithout(request.query['without'])
      if (!(await spool.putBack(id, without))) throw notFound()
      logger.info({ callback_id: id, without }, 'a callback that was set aside goes to the database again')
      sendJson(response, 200, JSON.stringify({ kind: 'Callback', id, href: `/v1/callbacks/${id}`, state: 'pending' }))
    })
    .all('/set-aside/:id/put-back', methodNotAllowed('POST'))
}

function parseWithout(given: unknown): Optional[] {
  if (given === undefined) return []
  if (typeof given !== 'string') throw new HttpProblem('invalid_parameter', 'without may be given once.')
  return given.split(',').map(name => {
    const column = OPTIONAL.find(candidate => candidate === name)
    if (column === undefined)
      throw new HttpProblem('invalid_parameter', `${JSON.stringify(excerpt(name))} is none of ${OPTIONAL.join(', ')}.`)
    return column
  })
}

function notFound(): HttpProblem {
  return new HttpProblem('callback_not_found', 'No such callback is set aside.')
}

function representation({ id, reason, objectIds, idempotencyKey, requestId, traceparent, receivedAt }: AsideView): object {
  return {
    kind: 'SetAsideCallback',
    id,
    href: `/set-aside/${id}`,
    reason,
    object_ids: objectIds,
    idempotency_key: idempotencyKey,
    received_at: receivedAt,
    request_id: requestId,
    trace_id: traceparent?.split('-')[1],
  }
}
