import Type from 'typebox'
import type { ObjectId } from '#fetching/object-id.ts'
import { exactJson, jsonAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter, queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { DEFAULT_WORKSPACE } from '../../domain/workspaces/workspace.ts'
import { CallbackReference, EXAMPLE_ID, EXAMPLE_TIME, Int64, Time } from '../schemas.ts'
import { queryOf } from '../workspace-links.ts'
import { hrefOfCallback } from './representation.ts'

/** Maximum number of callbacks in the list. The others appear when these are gone. */
const MAX_LISTED = 1000

/** Columns that a callback does not need and whose values the database may refuse. */
const OPTIONAL = ['request_id', 'traceparent', 'tracestate', 'baggage'] as const
type Optional = (typeof OPTIONAL)[number]

/** A callback that got 202 and that the database then refused. */
export interface AsideView {
  readonly id: string
  readonly workspace: string
  readonly reason: string
  readonly objectIds: readonly ObjectId[]
  readonly idempotencyKey: string | undefined
  readonly requestId: string | undefined
  readonly traceparent: string | undefined
  readonly receivedAt: Date
}

export interface SetAside {
  aside(limit: number): Promise<readonly AsideView[]>
  /** @returns the workspace of the callback; undefined if it is not set aside */
  putBack(id: string, without: readonly Optional[]): Promise<string | undefined>
  drop(id: string): Promise<AsideView | undefined>
}

/**
 * Routes for operators. `GET /set-aside` lists the callbacks that the database refused. `POST /set-aside/:id/put-back` gives one to it again;
 * `?without=baggage,tracestate` leaves out values. `DELETE /set-aside/:id` permanently drops a callback and returns it.
 */
export function setAsideRoutes(spool: SetAside, logger: Logger): readonly Route[] {
  return [
    route({
      ...OPERATORS,
      method: 'GET',
      path: '/set-aside',
      operationId: 'listSetAside',
      summary: 'Lists the callbacks that the database refused',
      answers: { 200: { description: `At most ${MAX_LISTED} callbacks.`, schema: AsideList, example: listOf([EXAMPLE]) } },
      problems: ['storage_unavailable'],
      parse: () => undefined,
      execute: async () => jsonAnswer(200, exactJson(listOf((await spool.aside(MAX_LISTED)).map(representation)))),
    }),
    route({
      ...OPERATORS,
      method: 'DELETE',
      path: '/set-aside/:id',
      operationId: 'dropSetAside',
      summary: 'Permanently drops a callback that was set aside',
      params: ID,
      answers: { 200: { description: 'The dropped callback.', schema: Aside, example: EXAMPLE } },
      problems: ['callback_not_found', 'storage_unavailable'],
      parse: request => pathParameter(request, 'id'),
      async execute(id) {
        const dropped = await spool.drop(id)
        if (!dropped) throw notSetAside()
        logger.warn({ callback_id: dropped.id, reason: dropped.reason }, 'a callback that was set aside is dropped')
        return jsonAnswer(200, exactJson(representation(dropped)))
      },
    }),
    route({
      ...OPERATORS,
      method: 'POST',
      path: '/set-aside/:id/put-back',
      operationId: 'putBackSetAside',
      summary: 'Gives a callback that was set aside to the database again',
      params: ID,
      query: Type.Object({
        without: Type.Optional(
          Type.String({ pattern: WITHOUT, description: `Values to leave out, separated by commas: ${OPTIONAL.join(', ')}.` }),
        ),
      }),
      answers: { 200: { description: 'The callback is on its way to the database.', schema: PutBack, example: PUT_BACK_EXAMPLE } },
      problems: ['invalid_parameter', 'callback_not_found', 'idempotency_key_reused', 'storage_unavailable'],
      parse: request => ({
        id: pathParameter(request, 'id'),
        without: queryParameter(request, 'without', readColumns, `some of ${OPTIONAL.join(', ')}, separated by commas`) ?? [],
      }),
      async execute({ id, without }) {
        const workspace = await spool.putBack(id, without)
        if (workspace === undefined) throw notSetAside()
        logger.info({ callback_id: id, workspace, without }, 'a callback that was set aside goes to the database again')
        return jsonAnswer(200, JSON.stringify({ kind: 'Callback', id, href: hrefOfCallback(id, queryOf(workspace)), state: 'pending' }))
      },
    }),
  ]
}

const OPERATORS = { access: 'operator', limits: 'none' } as const
const ID = Type.Object({ id: Type.String() })
const WITHOUT = `^(${OPTIONAL.join('|')})(,(${OPTIONAL.join('|')}))*$`

const Aside = Type.Object(
  {
    kind: Type.Literal('SetAsideCallback'),
    id: Type.String(),
    href: Type.String(),
    workspace: Type.String(),
    reason: Type.String({ description: 'Why the database refused it.' }),
    object_ids: Type.Array(Int64),
    idempotency_key: Type.Optional(Type.String()),
    received_at: Time,
    request_id: Type.Optional(Type.String()),
    trace_id: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

const AsideList = Type.Object(
  {
    kind: Type.Literal('SetAsideList'),
    id: Type.Literal('set-aside'),
    href: Type.Literal('/set-aside'),
    size: Type.Integer(),
    items: Type.Array(Aside),
  },
  { additionalProperties: false },
)

const PutBack = Type.Object({ ...CallbackReference.properties, state: Type.Literal('pending') }, { additionalProperties: false })

const PUT_BACK_EXAMPLE = { kind: 'Callback', id: EXAMPLE_ID, href: hrefOfCallback(EXAMPLE_ID), state: 'pending' }

const EXAMPLE = {
  kind: 'SetAsideCallback',
  id: EXAMPLE_ID,
  href: `/set-aside/${EXAMPLE_ID}`,
  workspace: DEFAULT_WORKSPACE,
  reason: 'invalid byte sequence for encoding "UTF8"',
  object_ids: [7],
  received_at: EXAMPLE_TIME,
}

function readColumns(text: string): Optional[] | undefined {
  const columns = text.split(',').map(name => OPTIONAL.find(candidate => candidate === name))
  return columns.includes(undefined) ? undefined : (columns as Optional[])
}

function notSetAside(): HttpProblem {
  return new HttpProblem('callback_not_found', 'No such callback is set aside.')
}

function listOf(items: readonly object[]): object {
  return { kind: 'SetAsideList', id: 'set-aside', href: '/set-aside', size: items.length, items }
}

function representation({ id, workspace, reason, objectIds, idempotencyKey, requestId, traceparent, receivedAt }: AsideView): object {
  return {
    kind: 'SetAsideCallback',
    id,
    href: `/set-aside/${id}`,
    workspace,
    reason,
    object_ids: objectIds,
    idempotency_key: idempotencyKey,
    received_at: receivedAt,
    request_id: requestId,
    trace_id: traceparent?.split('-')[1],
  }
}
