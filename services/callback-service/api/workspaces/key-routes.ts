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
import type { ListedKey, NewKey } from '../../domain/workspaces/access-key.ts'
import { KEY_ROLES } from '../../domain/workspaces/caller.ts'
import { MAX_KEY_NAME, parseNewKey } from '../../domain/workspaces/parse-new-key.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Time, UUID, Uuid } from '../schemas.ts'
import { BODY_PROBLEMS, jsonBodyOf, SUBJECT_PROBLEMS, subjectOf, WorkspaceName, workspaceNotFound } from './subject.ts'
import { hrefOfWorkspace, Line } from './workspace-representation.ts'

/** The keys of workspaces, as the routes need them. A change is on the disk when its promise resolves. */
export interface AccessKeys {
  /** @returns undefined if there is no such workspace */
  create(workspace: string, key: NewKey): Promise<{ readonly key: string; readonly listed: ListedKey } | undefined>
  /** Reads a page, oldest first. @param page.limit one more than the page shows @returns undefined if there is no such workspace */
  list(workspace: string, page: PageRequest<string>): Promise<readonly ListedKey[] | undefined>
  /** @returns whether there was such a key */
  delete(workspace: string, id: string): Promise<boolean>
}

/** Routes of the keys of a workspace. The answer to the POST shows the key; no other answer does. */
export function keyRoutes(keys: AccessKeys): readonly Route[] {
  return [
    route({
      ...KEYS,
      method: 'GET',
      operationId: 'listKeys',
      summary: 'Lists the keys of a workspace, oldest first, without the keys themselves',
      query: Type.Object(PAGE_PARAMETERS),
      answers: {
        200: {
          description: 'A page of keys.',
          schema: listSchema('KeyList', 'keys', Type.Object(KEY, { additionalProperties: false })),
          headers: PAGE_HEADERS,
          example: { kind: 'KeyList', id: 'keys', href: `${hrefOfKeys('shop')}?limit=100`, size: 1, items: [EXAMPLE] },
        },
      },
      problems: [...SUBJECT_PROBLEMS, 'invalid_parameter'],
      parse(request) {
        const workspace = subjectOf(request)
        const paging = pagingOf(workspace)
        return { workspace, paging, page: readPageRequest(request, paging) }
      },
      async execute({ workspace, paging, page: asked }) {
        const found = await keys.list(workspace, { ...asked, limit: asked.limit + 1 })
        if (!found) throw workspaceNotFound()
        const page = pageOf({ paging, asked, filters: {}, found, keyOf: ({ id }) => id })
        const texts = page.items.map(key => JSON.stringify(keyBody(key)))
        return jsonAnswer(200, listText('KeyList', 'keys', page, texts), linkHeader(page))
      },
    }),
    route({
      ...KEYS,
      method: 'POST',
      operationId: 'createKey',
      summary: 'Makes a key of a workspace and shows it, once',
      body: {
        types: ['application/json'],
        schema: Type.Object(
          {
            role: Type.Enum([...KEY_ROLES]),
            agent: Type.Optional(Type.Union([Uuid, Type.Null()], { description: 'The agent that gets it, if the role is agent.' })),
            name: Type.Optional(Type.Union([Line(MAX_KEY_NAME), Type.Null()])),
            expires_at: Type.Optional(Type.Union([Time, Type.Null()], { description: 'A time in the future. Null: never.' })),
          },
          { additionalProperties: false },
        ),
        example: { role: 'send', name: 'checkout' },
      },
      answers: {
        201: {
          description: 'The new key. Keep `key`: nobody can show it again.',
          schema: Type.Object({ ...KEY, key: Type.String({ pattern: '^ab_[A-Za-z0-9_-]{45,108}$' }) }, { additionalProperties: false }),
          headers: { Location: Type.String({ description: 'The href of the key.' }), 'Cache-Control': Type.Literal('no-store') },
          example: { ...EXAMPLE, key: `ab_shop_${'x'.repeat(43)}` },
        },
      },
      problems: [...BODY_PROBLEMS, ...SUBJECT_PROBLEMS, 'too_many_keys'],
      async parse(request) {
        const workspace = subjectOf(request)
        return { workspace, key: parseNewKey(await jsonBodyOf(request), { now: new Date(), readDateTime }) }
      },
      async execute({ workspace, key }) {
        const made = await keys.create(workspace, key)
        if (!made) throw workspaceNotFound()
        const body = { ...keyBody(made.listed), key: made.key }
        return jsonAnswer(201, JSON.stringify(body), { Location: hrefOfKey(made.listed), 'Cache-Control': 'no-store' })
      },
    }),
    route({
      ...KEYS,
      path: '/v1/workspaces/:name/keys/:id',
      method: 'DELETE',
      operationId: 'deleteKey',
      summary: 'Revokes a key: within two seconds, no replica accepts it',
      params: Type.Object({ name: WorkspaceName, id: Uuid }),
      answers: { 204: { description: 'The key is deleted.' } },
      problems: [...SUBJECT_PROBLEMS, 'key_not_found'],
      parse(request) {
        const workspace = subjectOf(request)
        const id = pathParameter(request, 'id')
        if (!UUID.test(id)) throw keyNotFound()
        return { workspace, id }
      },
      async execute({ workspace, id }) {
        if (!(await keys.delete(workspace, id))) throw keyNotFound()
        return { status: 204, body: '' }
      },
    }),
  ]
}

const KEYS = {
  path: '/v1/workspaces/:name/keys',
  access: 'manage',
  limits: 'reads',
  params: Type.Object({ name: WorkspaceName }),
} as const

const KEY = {
  kind: Type.Literal('Key'),
  id: Uuid,
  href: Type.String(),
  workspace: WorkspaceName,
  role: Type.Enum([...KEY_ROLES]),
  agent: Type.Union([Uuid, Type.Null()], { description: 'The agent that has it, if its role is agent.' }),
  name: Type.String(),
  created_at: Time,
  expires_at: Type.Union([Time, Type.Null()]),
  last_used_at: Type.Union([Time, Type.Null()], { description: 'To about a minute. Null: nobody has used it.' }),
}

const EXAMPLE = {
  kind: 'Key',
  id: EXAMPLE_ID,
  href: hrefOfKey({ workspace: 'shop', id: EXAMPLE_ID }),
  workspace: 'shop',
  role: 'send',
  agent: null,
  name: 'checkout',
  created_at: EXAMPLE_TIME,
  expires_at: null,
  last_used_at: null,
}

/** Each workspace has a list of its own, so a cursor of one is not valid in another. */
function pagingOf(workspace: string): Paging<string> {
  return { list: `keys of ${workspace}`, path: hrefOfKeys(workspace), write: String, read: text => (UUID.test(text) ? text : undefined) }
}

function keyBody(key: ListedKey): object {
  const { id, workspace, role, agentId, name, createdAt, expiresAt, lastUsedAt } = key
  const times = { created_at: createdAt, expires_at: expiresAt, last_used_at: lastUsedAt }
  return { kind: 'Key', id, href: hrefOfKey(key), workspace, role, agent: agentId, name, ...times }
}

function hrefOfKeys(workspace: string): string {
  return `${hrefOfWorkspace(workspace)}/keys`
}

function hrefOfKey({ workspace, id }: { readonly workspace: string; readonly id: string }): string {
  return `${hrefOfKeys(workspace)}/${id}`
}

function keyNotFound(): HttpProblem {
  return new HttpProblem('key_not_found', 'The workspace has no key with this id.')
}
