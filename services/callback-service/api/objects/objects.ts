import { Router } from 'express'
import { excerpt, HttpProblem, methodNotAllowed } from '#foundation/http/problems.ts'
import { type ObjectId, parseObjectId } from '../../domain/object-id.ts'
import { sendJson } from '../json.ts'
import { toProblem } from '../problems.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

export interface ObjectView {
  /** Exact: a bigint, or its digits. */
  readonly id: ObjectId | string
  readonly online: boolean
  /** Times in ISO 8601 where they are texts. */
  readonly last_seen_at: Date | string | null
  readonly stored_at: Date | string
  readonly expires_at: Date | string
  readonly callback_id: string
}

export interface ObjectReader {
  find(id: ObjectId): Promise<ObjectView | undefined>
  list(page: { online: boolean | undefined; after: ObjectId | undefined; limit: number }): Promise<ObjectView[]>
}

/** `GET /v1/objects/:id` and `GET /v1/objects?online=&limit=&after=`: what is known of objects and has not expired. */
export function readObjectRoutes(objects: ObjectReader): Router {
  return Router({ caseSensitive: true, strict: true })
    .get('/v1/objects', async (request, response) => {
      const page = parsePage(request.query)
      // One more than asked for tells whether there is a next page.
      const found = await objects.list({ ...page, limit: page.limit + 1 }).catch(rethrow)
      const items = found.slice(0, page.limit)
      const last = items.at(-1)
      const next = found.length > items.length && last ? hrefOf({ ...page, after: last.id }) : undefined
      if (next) response.setHeader('Link', `<${next}>; rel="next"`)
      const list = JSON.stringify({ kind: 'ObjectList', href: hrefOf(page), size: items.length, next })
      sendJson(response, 200, `${list.slice(0, -1)},"items":[${items.map(textOf).join(',')}]}`)
    })
    .all('/v1/objects', methodNotAllowed('GET', 'HEAD'))
    .get('/v1/objects/:id', async (request, response) => {
      const id = parseObjectId(request.params.id)
      if (id === undefined) throw new HttpProblem('invalid_id', 'The id of an object is a 64-bit signed integer.')
      const object = await objects.find(id).catch(rethrow)
      if (!object) throw new HttpProblem('object_not_found', 'No such object is stored, or none any more.')
      sendJson(response, 200, textOf(object))
    })
    .all('/v1/objects/:id', methodNotAllowed('GET', 'HEAD'))
}

interface Page {
  readonly online: boolean | undefined
  readonly after: ObjectId | undefined
  readonly limit: number
}

function parsePage(query: Readonly<Record<string, unknown>>): Page {
  for (const name of Object.keys(query)) {
    if (!['online', 'limit', 'after'].includes(name)) throw invalid(name, 'is unknown')
  }
  const { online, limit, after } = query
  return {
    online:
      online === undefined
        ? undefined
        : parse('online', online, text => (text === 'true' || text === 'false' ? text === 'true' : undefined), 'must be true or false'),
    limit: limit === undefined ? DEFAULT_LIMIT : parse('limit', limit, parseLimit, `must be an integer from 1 to ${MAX_LIMIT}`),
    after: after === undefined ? undefined : parse('after', after, parseObjectId, 'must be the id of an object'),
  }
}

function parse<T>(name: string, value: unknown, read: (text: string) => T | undefined, wanted: string): T {
  if (typeof value !== 'string') throw invalid(name, 'may be given once')
  const parsed = read(value)
  if (parsed === undefined) throw invalid(name, wanted)
  return parsed
}

function parseLimit(text: string): number | undefined {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_LIMIT ? limit : undefined
}

function invalid(name: string, detail: string): HttpProblem {
  return new HttpProblem('invalid_parameter', `The query parameter ${JSON.stringify(excerpt(name))} ${detail}.`)
}

function hrefOf({ online, limit, after }: Omit<Page, 'after'> & { readonly after: ObjectId | string | undefined }): string {
  const query = new URLSearchParams({
    ...(online !== undefined && { online: String(online) }),
    limit: String(limit),
    ...(after !== undefined && { after: String(after) }),
  })
  return `/v1/objects?${query}`
}

/** By hand: JSON.stringify with exact ids takes ten times as long, and a page of a thousand would hold up everybody. */
function textOf({ id, online, last_seen_at, stored_at, expires_at, callback_id }: ObjectView): string {
  const times = `"last_seen_at":${JSON.stringify(last_seen_at)},"stored_at":${JSON.stringify(stored_at)},"expires_at":${JSON.stringify(expires_at)}`
  const callback = `{"kind":"Callback","id":"${callback_id}","href":"/v1/callbacks/${callback_id}"}`
  return `{"kind":"Object","href":"/v1/objects/${id}","id":${id},"online":${online},${times},"callback":${callback}}`
}

function rethrow(error: unknown): never {
  throw toProblem(error) ?? error
}
