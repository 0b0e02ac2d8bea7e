import Type from 'typebox'
import { type ObjectId, parseObjectId } from '#fetching/object-id.ts'
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
import { pathParameter, queryParameter, readBoolean } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { ObjectFilter, ObjectView } from '../../domain/stored-object.ts'
import { callerOf } from '../gates/caller-of.ts'
import { CallbackReference, EXAMPLE_ID, Int64, Int64Text, Time } from '../schemas.ts'
import { workspaceFilter, workspaceQuery } from '../workspace-links.ts'

export interface ObjectReader {
  find(workspace: string, id: ObjectId): Promise<ObjectView | undefined>
  /** Reads a page, ordered by id. @param page.limit one more than the page shows, to find out whether there are more */
  list(filter: ObjectFilter, page: PageRequest<ObjectId>): Promise<readonly ObjectView[]>
}

/** `GET /v1/objects` and `GET /v1/objects/:id`: show stored objects that have not expired. */
export function readObjects(objects: ObjectReader): readonly Route[] {
  return [
    route({
      ...READ,
      path: '/v1/objects',
      operationId: 'listObjects',
      summary: 'Lists the stored objects, ordered by id',
      query: Type.Object({ online: Type.Optional(Type.Boolean()), ...PAGE_PARAMETERS }),
      answers: {
        200: {
          description: 'A page of objects.',
          schema: listSchema('ObjectList', 'objects', ObjectSchema),
          headers: PAGE_HEADERS,
          example: { kind: 'ObjectList', id: 'objects', href: '/v1/objects?limit=100', size: 1, items: [EXAMPLE] },
        },
      },
      problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
      parse: request => ({
        filter: {
          workspace: callerOf(request).workspace.name,
          online: queryParameter(request, 'online', readBoolean, 'true or false'),
        },
        page: readPageRequest(request, PAGING),
        links: workspaceFilter(request),
        query: workspaceQuery(callerOf(request)),
      }),
      async execute({ filter, page: asked, links, query }) {
        const found = await objects.list(filter, { ...asked, limit: asked.limit + 1 })
        const filters = { ...links, online: filter.online?.toString() }
        const page = pageOf({ paging: PAGING, asked, filters, found, keyOf: ({ id }) => BigInt(id) })
        const texts = page.items.map(item => textOf(item, query))
        return jsonAnswer(200, listText('ObjectList', 'objects', page, texts), linkHeader(page))
      },
    }),
    route({
      ...READ,
      path: '/v1/objects/:id',
      operationId: 'getObject',
      summary: 'Returns a stored object',
      params: Type.Object({ id: Int64Text }),
      answers: { 200: { description: 'The object.', schema: ObjectSchema, example: EXAMPLE } },
      problems: ['invalid_id', 'object_not_found', 'too_many_reads', 'storage_unavailable'],
      parse(request) {
        const id = parseObjectId(pathParameter(request, 'id'))
        if (id === undefined) throw new HttpProblem('invalid_id', 'The id of an object is a 64-bit signed integer.')
        const caller = callerOf(request)
        return { workspace: caller.workspace.name, id, query: workspaceQuery(caller) }
      },
      async execute({ workspace, id, query }) {
        const object = await objects.find(workspace, id)
        if (!object) throw new HttpProblem('object_not_found', 'No object with this id is stored, or it has expired.')
        return jsonAnswer(200, textOf(object, query))
      },
    }),
  ]
}

const READ = { method: 'GET', access: 'read', limits: 'reads' } as const

const PAGING: Paging<ObjectId> = { list: 'objects', path: '/v1/objects', write: String, read: parseObjectId }

const ObjectSchema = Type.Object(
  {
    kind: Type.Literal('Object'),
    href: Type.String(),
    id: Int64,
    online: Type.Boolean(),
    last_seen_at: Type.Union([Time, Type.Null()], { description: 'When a fetch last found the object online, or null.' }),
    stored_at: Time,
    expires_at: Type.String({ format: 'date-time', description: 'When the object expires. From then on it is not found.' }),
    callback: CallbackReference,
  },
  { additionalProperties: false },
)

const EXAMPLE = {
  kind: 'Object',
  href: '/v1/objects/2',
  id: 2,
  online: true,
  last_seen_at: '2026-11-22T02:55:18.046Z',
  stored_at: '2026-11-22T02:55:18.046Z',
  expires_at: '2026-11-22T02:55:48.046Z',
  callback: { kind: 'Callback', id: EXAMPLE_ID, href: `/v1/callbacks/${EXAMPLE_ID}` },
}

/** Writes an object by hand. JSON.stringify with exact ids takes ten times as long, and a page of 1,000 would delay all requests. */
function textOf({ id, online, lastSeenAt, storedAt, expiresAt, callbackId }: ObjectView, query: string): string {
  const times = `"last_seen_at":${JSON.stringify(lastSeenAt)},"stored_at":"${storedAt}","expires_at":"${expiresAt}"`
  const callback = `{"kind":"Callback","id":"${callbackId}","href":"/v1/callbacks/${callbackId}${query}"}`
  return `{"kind":"Object","href":"/v1/objects/${id}${query}","id":${id},"online":${online},${times},"callback":${callback}}`
}
