import { createHash } from 'node:crypto'
import type { Request } from 'express'
import Type, { type TSchema } from 'typebox'
import { queryParameter } from './query.ts'

/** A place in a list and the direction to read from there. The page leaves out the item at the place itself. */
export interface Position<Key> {
  readonly direction: 'after' | 'before'
  readonly key: Key
}

/** How a list writes and reads its cursors. */
export interface Paging<Key> {
  /** Name of the list. A cursor of another list is not valid. */
  readonly list: string
  readonly path: string
  /** Turn a key into text and back. `read` returns undefined if the text is not a key. */
  readonly write: (key: Key) => string
  readonly read: (text: string) => Key | undefined
}

/** The page that a caller asks for. Without a position it is the first page. */
export interface PageRequest<Key> {
  readonly limit: number
  readonly position: Position<Key> | undefined
}

export interface Page<Item> {
  readonly items: readonly Item[]
  /** Links to this page, the next one and the previous one. If there is no such page, the link is undefined. */
  readonly href: string
  readonly next: string | undefined
  readonly prev: string | undefined
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** The query parameters of every list. */
export const PAGE_PARAMETERS = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT, description: 'Maximum size of a page.' })),
  cursor: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9_-]+$', description: 'The place of the page. Copy it unchanged from a link of the same list.' }),
  ),
}

/** The headers of every list. */
export const PAGE_HEADERS = { Link: Type.String({ description: 'Links to the previous and next page (RFC 8288): `prev`, `next`.' }) }

/** Makes the schema of a page of a list. @param id name of the list */
export function listSchema(kind: string, id: string, item: TSchema) {
  return Type.Object(
    {
      kind: Type.Literal(kind),
      id: Type.Literal(id),
      href: Type.String(),
      size: Type.Integer({ minimum: 0, maximum: MAX_LIMIT }),
      next: Type.Optional(Type.String({ description: 'Link to the next page. The last page has none.' })),
      prev: Type.Optional(Type.String({ description: 'Link to the previous page. The first page has none.' })),
      items: Type.Array(item),
    },
    { additionalProperties: false },
  )
}

/** Reads `limit` and `cursor`. @throws {HttpProblem} invalid_parameter */
export function readPageRequest<Key>(request: Request, paging: Paging<Key>): PageRequest<Key> {
  return {
    limit: queryParameter(request, 'limit', readLimit, `an integer from 1 to ${MAX_LIMIT}`) ?? DEFAULT_LIMIT,
    position: queryParameter(request, 'cursor', text => readCursor(paging, text), 'a cursor from a link of this list'),
  }
}

/**
 * Makes a page from the items that a list found.
 * @param found items in list order. If there are more than `limit`, one extra item: the last, or the first for a page before a position
 * @param filters query parameters that every link keeps
 */
export function pageOf<Item, Key>(options: {
  readonly paging: Paging<Key>
  readonly asked: PageRequest<Key>
  readonly filters: Readonly<Record<string, string | undefined>>
  readonly found: readonly Item[]
  readonly keyOf: (item: Item) => Key
}): Page<Item> {
  const { paging, asked, filters, found, keyOf } = options
  const { limit, position } = asked
  const isBackward = position?.direction === 'before'
  const hasMore = found.length > limit
  const items = isBackward ? found.slice(-limit) : found.slice(0, limit)
  const link = (to: Position<Key> | undefined): string => hrefOf(paging, filters, limit, to)
  const beside = (direction: Position<Key>['direction'], item: Item | undefined): string | undefined =>
    item && link({ direction, key: keyOf(item) })
  return {
    items,
    href: link(position),
    // A caller who came from a neighbouring page can go back to it, so that link is always there.
    next: hasMore || isBackward ? beside('after', items.at(-1)) : undefined,
    prev: isBackward ? (hasMore ? beside('before', items[0]) : undefined) : position && beside('before', items[0]),
  }
}

/** Makes the `Link` header (RFC 8288) of a page. A page without neighbours has none. */
export function linkHeader({ next, prev }: Page<unknown>): Record<string, string> {
  const links = [next && `<${next}>; rel="next"`, prev && `<${prev}>; rel="prev"`].filter(Boolean)
  return links.length > 0 ? { Link: links.join(', ') } : {}
}

/**
 * Writes a page as JSON. @param texts the items of the page, each as JSON
 */
export function listText(kind: string, id: string, { href, next, prev, items }: Page<unknown>, texts: readonly string[]): string {
  const list = JSON.stringify({ kind, id, href, size: items.length, next, prev })
  return `${list.slice(0, -1)},"items":[${texts.join(',')}]}`
}

function hrefOf<Key>(
  paging: Paging<Key>,
  filters: Readonly<Record<string, string | undefined>>,
  limit: number,
  to?: Position<Key>,
): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, value)
  query.set('limit', String(limit))
  if (to) query.set('cursor', writeCursor(paging, to))
  return `${paging.path}?${query}`
}

function readLimit(text: string): number | undefined {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_LIMIT ? limit : undefined
}

/** Makes a cursor. It is opaque but not secret: it shows nothing beyond its list. Its checksum reveals a changed or foreign cursor. */
function writeCursor<Key>({ list, write }: Paging<Key>, { direction, key }: Position<Key>): string {
  const text = `${direction} ${write(key)}`
  return Buffer.from(`${sumOf(list, text)} ${text}`).toString('base64url')
}

function readCursor<Key>(paging: Paging<Key>, cursor: string): Position<Key> | undefined {
  const [, direction, written = ''] = /^\S+ (after|before) (.*)$/s.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  const key = paging.read(written)
  if (direction === undefined || key === undefined) return undefined
  const position = { direction: direction as Position<Key>['direction'], key }
  return writeCursor(paging, position) === cursor ? position : undefined
}

function sumOf(list: string, text: string): string {
  return createHash('sha256').update(`${list}\n${text}`).digest('base64url').slice(0, 8)
}
