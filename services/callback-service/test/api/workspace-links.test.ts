import assert from 'node:assert/strict'
import { DirectoryInMemory } from './gates/directory-in-memory.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)
const time = new Date(0).toISOString()

describe('the links of an answer', () => {
  let directory: DirectoryInMemory
  let api: Awaited<ReturnType<typeof serveApi>>

  beforeEach(async () => {
    directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    const object = (id: string) => ({ id, online: true, lastSeenAt: time, storedAt: time, expiresAt: time, callbackId: ACCEPTED_ID })
    const callback = {
      id: ACCEPTED_ID,
      workspace: 'shop',
      state: 'completed' as const,
      priority: 0,
      wish: null,
      attempts: 1,
      objectIds: [1n],
      objectCount: 1,
      position: { receivedUs: '1', id: ACCEPTED_ID },
      unstored: [],
      requestId: null,
      traceparent: null,
      receivedAt: new Date(0),
      dueAt: new Date(0),
      finishedAt: new Date(0),
    }
    api = await serveApi({
      directory,
      access: { mode: 'keys', superuserKeys: [SUPERUSER_KEY] },
      findCallback: async () => callback,
      listCallbacks: async (_filter, { limit }) => Array.from({ length: limit }, () => callback),
      objects: {
        find: async () => object('1'),
        list: async (_filter, { limit }) => Array.from({ length: limit }, (_, i) => object(String(i))),
      },
    })
  })

  afterEach(() => api.stop())

  /** @returns every link of the answer, in its body and in its headers */
  async function linksOf(path: string, key?: string, headers: Record<string, string> = {}): Promise<string[]> {
    const isPost = path.startsWith('/callback')
    const response = await fetch(`${api.url}${path}`, {
      method: isPost ? 'POST' : 'GET',
      headers: { ...(key !== undefined && { 'x-api-key': key }), 'content-type': 'application/json', ...headers },
      ...(isPost && { body: '{"object_ids":[1]}' }),
    })
    const text = await response.text()
    assert.ok(response.ok, text)
    const inBody = [...text.matchAll(/"(?:href|next|prev)":"([^"]*)"/g)].map(([, link]) => link as string)
    const inHeaders = [...(response.headers.get('link') ?? '').matchAll(/<([^>]*)>/g)].map(([, link]) => link as string)
    const location = response.headers.get('location')
    return [...inBody, ...inHeaders, ...(location === null ? [] : [location])]
  }

  const PATHS = ['/callback', '/v1/callbacks?limit=1', `/v1/callbacks/${ACCEPTED_ID}`, '/v1/objects?limit=1', '/v1/objects/1']

  for (const path of PATHS) {
    it(`lead a superuser back to the workspace: ${path}`, async () => {
      for (const [chosen, headers] of [
        [`${path}${path.includes('?') ? '&' : '?'}workspace_id=shop`, {}],
        [path, { 'x-workspace': 'shop' }],
      ] as const) {
        const links = await linksOf(chosen, SUPERUSER_KEY, headers)
        assert.ok(links.length >= 1)
        for (const link of links) assert.deepEqual(new URL(link, api.url).searchParams.getAll('workspace_id'), ['shop'], link)
        for (const link of links.filter(each => each.startsWith('/v1/'))) await linksOf(link, SUPERUSER_KEY)
      }
    })

    it(`are bare for a key and in default: ${path}`, async () => {
      const bare = [await linksOf(path, directory.addKey('shop', 'manage')), await linksOf(path, SUPERUSER_KEY)].flat()
      assert.deepEqual(
        bare.filter(link => link.includes('workspace_id')),
        [],
      )
    })
  }

  it('keep the workspace that a key named in the URL in the links of its lists, and never a key', async () => {
    const key = directory.addKey('shop', 'read')
    const links = await linksOf(`/v1/objects?workspace_id=shop&limit=1&api_key=${key}`)
    const pages = links.filter(link => link.startsWith('/v1/objects?'))
    assert.ok(pages.length >= 3)
    for (const link of pages) assert.match(link, /^\/v1\/objects\?workspace_id=shop&limit=1(&cursor=[\w-]+)?$/)
  })
})
