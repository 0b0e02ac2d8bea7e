import type { Request } from 'express'
import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import {
  linkHeader,
  listSchema,
  listText,
  PAGE_HEADERS,
  PAGE_PARAMETERS,
  type PageRequest,
  type Paging,
  pageOf,
  readPageRequest,
} from '#foundation/http/paging.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter, readDateTime } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { parseIdempotencyKey } from '../../domain/accepting/idempotency-key.ts'
import type { NewOperation, Operation, OperationPosition } from '../../domain/steering/operation.ts'
import { parseOperation } from '../../domain/steering/parse-operation.ts'
import { callerOf } from '../gates/caller-of.ts'
import { IDEMPOTENCY_KEY, UUID, Uuid } from '../schemas.ts'
import { workspaceFilter, workspaceQuery } from '../workspace-links.ts'
import { BODY_PROBLEMS, jsonBodyOf, requireNoForm } from '../workspaces/subject.ts'
import { EXAMPLE_OPERATION, hrefOfOperation, NewOperationSchema, OperationSchema, operationText } from './operation-representation.ts'

/** The operations of workspaces, as the routes need them. A change is on the disk when its promise resolves. */
export interface Operations {
  /** Safe to repeat with an idempotency key. */
  create(
    workspace: string,
    asked: NewOperation,
    idempotencyKey: string | undefined,
  ): Promise<{ readonly operation: Operation; readonly isReplay: boolean }>
  find(workspace: string, id: string): Promise<Operation | undefined>
  /** Reads a page, newest first. @param page.limit one more than the page shows */
  list(workspace: string, page: PageRequest<OperationPosition>): Promise<readonly (Operation & { readonly position: OperationPosition })[]>
  /** Ends an operation that has not ended. @returns whether there is such an operation */
  abort(workspace: string, id: string): Promise<boolean>
}

const MANAGED = { access: 'manage', limits: 'reads' } as const
const STORAGE_PROBLEMS = ['too_many_reads', 'storage_unavailable'] as const

const PAGING: Paging<OperationPosition> = {
  list: 'operations',
  path: '/v1/operations',
  write: ({ createdUs, id }) => `${createdUs} ${id}`,
  read(text) {
    const [, createdUs, id = ''] = /^(-?\d{1,17}) (\S+)$/.exec(text) ?? []
    return createdUs !== undefined && UUID.test(id) ? { createdUs, id } : undefined
  },
}

/** Routes of operations: one change of many callbacks. */
export function operationRoutes(operations: Operations): readonly Route[] {
  return [
    route({
      ...MANAGED,
      method: 'GET',
      path: '/v1/operations',
      operationId: 'listOperations',
      summary: 'Lists the operations of a workspace, newest first',
      query: Type.Object(PAGE_PARAMETERS),
      answers: {
        200: {
          description: 'A page of operations.',
          schema: listSchema('OperationList', 'operations', OperationSchema),
          headers: PAGE_HEADERS,
          example: { kind: 'OperationList', id: 'operations', href: '/v1/operations?limit=100', size: 1, items: [EXAMPLE_OPERATION] },
        },
      },
      problems: ['invalid_parameter', ...STORAGE_PROBLEMS],
      parse: request => ({ ...placeOf(request), filters: workspaceFilter(request), page: readPageRequest(request, PAGING) }),
      async execute({ workspace, query, filters, page: asked }) {
        const found = await operations.list(workspace, { ...asked, limit: asked.limit + 1 })
        const page = pageOf({ paging: PAGING, asked, filters, found, keyOf: ({ position }) => position })
        const texts = page.items.map(operation => operationText(operation, query))
        return jsonAnswer(200, listText('OperationList', 'operations', page, texts), linkHeader(page))
      },
    }),
    route({
      ...MANAGED,
      method: 'POST',
      path: '/v1/operations',
      operationId: 'startOperation',
      summary: 'Starts one change of all callbacks that match a filter, or counts them',
      headers: Type.Object({
        'Idempotency-Key': Type.Optional(
          Type.String({ pattern: IDEMPOTENCY_KEY, description: 'A request with the same key starts no second operation.' }),
        ),
      }),
      body: { types: ['application/json'], schema: NewOperationSchema, example: { kind: 'retry', filter: { reason: 'http_500' } } },
      answers: {
        202: {
          description: 'The operation is on the disk. It begins at once.',
          schema: OperationSchema,
          headers: {
            Location: Type.String({ description: 'The href of the operation.' }),
            'Idempotency-Replayed': Type.String({ description: '`true` if the operation was started before.' }),
          },
          example: { ...EXAMPLE_OPERATION, state: 'counting', matched: 0, done: 0, eta_ms: null },
        },
      },
      problems: [...BODY_PROBLEMS, 'invalid_idempotency_key', 'idempotency_key_reused', 'too_many_operations', ...STORAGE_PROBLEMS],
      async parse(request) {
        const idempotencyKey = parseIdempotencyKey(request.get('idempotency-key'), undefined)
        return { ...placeOf(request), idempotencyKey, asked: parseOperation(await jsonBodyOf(request), readDateTime) }
      },
      async execute({ workspace, query, idempotencyKey, asked }) {
        const { operation, isReplay } = await operations.create(workspace, asked, idempotencyKey)
        const replayed = isReplay ? { 'Idempotency-Replayed': 'true' } : {}
        return jsonAnswer(202, operationText(operation, query), { Location: hrefOfOperation(operation.id, query), ...replayed })
      },
    }),
    route({
      ...MANAGED,
      method: 'GET',
      path: '/v1/operations/:id',
      operationId: 'getOperation',
      summary: 'Returns an operation and how far it is',
      params: Type.Object({ id: Uuid }),
      answers: { 200: { description: 'The operation.', schema: OperationSchema, example: EXAMPLE_OPERATION } },
      problems: ['invalid_id', 'operation_not_found', ...STORAGE_PROBLEMS],
      parse: request => ({ ...placeOf(request), id: idOf(request) }),
      async execute({ workspace, query, id }) {
        const operation = await operations.find(workspace, id)
        if (!operation) throw operationNotFound()
        return jsonAnswer(200, operationText(operation, query))
      },
    }),
    route({
      ...MANAGED,
      method: 'DELETE',
      path: '/v1/operations/:id',
      operationId: 'abortOperation',
      summary: 'Aborts an operation: it changes nothing more',
      params: Type.Object({ id: Uuid }),
      answers: { 204: { description: 'The operation has ended, now or earlier. What it has changed stays changed.' } },
      problems: ['invalid_id', 'operation_not_found', 'unsupported_media_type', ...STORAGE_PROBLEMS],
      parse(request) {
        requireNoForm(request)
        return { ...placeOf(request), id: idOf(request) }
      },
      async execute({ workspace, id }) {
        if (!(await operations.abort(workspace, id))) throw operationNotFound()
        return { status: 204, body: '' }
      },
    }),
  ]
}

function placeOf(request: Request) {
  const caller = callerOf(request)
  return { workspace: caller.workspace.name, query: workspaceQuery(caller) }
}

function idOf(request: Request): string {
  const id = pathParameter(request, 'id')
  if (!UUID.test(id)) throw new HttpProblem('invalid_id', 'The id of an operation is a UUID.')
  return id
}

function operationNotFound(): HttpProblem {
  return new HttpProblem('operation_not_found', 'No operation has this id, or the service has deleted it.')
}
