import Type from 'typebox'
import { parseObjectId } from '#fetching/object-id.ts'
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
import { queryParameter, readDateTime } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import {
  CALLBACK_STATES,
  type CallbackFilter,
  type CallbackPosition,
  type CallbackState,
  type ListedCallback,
} from '../../domain/callback.ts'
import { callerOf } from '../gates/caller-of.ts'
import { Int64Text, Time, UUID } from '../schemas.ts'
import { workspaceFilter, workspaceQuery } from '../workspace-links.ts'
import { LISTED_EXAMPLE, ListedCallbackSchema, listedText } from './representation.ts'

/** Reads a page of callbacks, newest first. @param page.limit one more than the page shows, to find out whether there are more */
export type ListCallbacks = (filter: CallbackFilter, page: PageRequest<CallbackPosition>) => Promise<readonly ListedCallback[]>

const PAGING: Paging<CallbackPosition> = {
  list: 'callbacks',
  path: '/v1/callbacks',
  write: ({ receivedUs, id }) => `${receivedUs} ${id}`,
  read(text) {
    const [, receivedUs, id = ''] = /^(-?\d{1,17}) (\S+)$/.exec(text) ?? []
    return receivedUs !== undefined && UUID.test(id) ? { receivedUs, id } : undefined
  },
}

/** `GET /v1/callbacks`: lists the callbacks in the database, newest first. */
export function listCallbacks(list: ListCallbacks): Route {
  return route({
    method: 'GET',
    path: '/v1/callbacks',
    operationId: 'listCallbacks',
    summary: 'Lists callbacks, newest first',
    access: 'follow',
    limits: 'reads',
    query: Type.Object({
      state: Type.Optional(Type.Enum([...CALLBACK_STATES])),
      received_after: Type.Optional(Time),
      received_before: Type.Optional(Time),
      object_id: Type.Optional(Int64Text),
      ...PAGE_PARAMETERS,
    }),
    answers: {
      200: {
        description: 'A page of callbacks.',
        schema: listSchema('CallbackList', 'callbacks', ListedCallbackSchema),
        headers: PAGE_HEADERS,
        example: { kind: 'CallbackList', id: 'callbacks', href: '/v1/callbacks?limit=100', size: 1, items: [LISTED_EXAMPLE] },
      },
    },
    problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
    parse: request => ({
      filter: {
        workspace: callerOf(request).workspace.name,
        state: queryParameter(request, 'state', readState, `one of ${CALLBACK_STATES.join(', ')}`),
        receivedAfter: queryParameter(request, 'received_after', readDateTime, 'an RFC 3339 time with an offset'),
        receivedBefore: queryParameter(request, 'received_before', readDateTime, 'an RFC 3339 time with an offset'),
        objectId: queryParameter(request, 'object_id', parseObjectId, 'the id of an object'),
      },
      page: readPageRequest(request, PAGING),
      workspace: workspaceFilter(request),
      query: workspaceQuery(callerOf(request)),
    }),
    async execute({ filter, page: asked, workspace, query }) {
      const found = await list(filter, { ...asked, limit: asked.limit + 1 })
      const page = pageOf({
        paging: PAGING,
        asked,
        filters: { ...workspace, ...queryOf(filter) },
        found,
        keyOf: ({ position }) => position,
      })
      const texts = page.items.map(item => listedText(item, query))
      return jsonAnswer(200, listText('CallbackList', 'callbacks', page, texts), linkHeader(page))
    },
  })
}

function readState(text: string): CallbackState | undefined {
  return CALLBACK_STATES.find(state => state === text)
}

function queryOf({ state, receivedAfter, receivedBefore, objectId }: CallbackFilter) {
  return {
    state,
    received_after: receivedAfter?.toISOString(),
    received_before: receivedBefore?.toISOString(),
    object_id: objectId?.toString(),
  }
}
