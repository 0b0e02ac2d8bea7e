import assert from 'node:assert/strict'
import type { Access } from '#foundation/http/access.ts'
import type { Route } from '#foundation/http/route.ts'
import { KEY_ROLES, type Role } from '../../../domain/workspaces/caller.ts'
import { ACCEPTED_ID, serveApi } from '../serve-api.ts'
import { DirectoryInMemory, newKey } from './directory-in-memory.ts'
import { standIn } from './stand-in.ts'

/** The table of docs/http-api.md: which roles may use what. */
const TABLE: Readonly<Record<Exclude<Access, 'public'>, readonly Role[]>> = {
  send: ['send', 'manage', 'superuser'],
  follow: ['send', 'read', 'manage', 'superuser'],
  read: ['read', 'manage', 'superuser'],
  manage: ['manage', 'superuser'],
  agent: ['agent', 'superuser'],
  superuser: ['superuser'],
  operator: [],
}

const SUPERUSER_KEY = 'superuser-'.repeat(4)
/** The workspace in paths. */
const OWN = 'shop'
const WORKSPACES = [undefined, OWN, 'lab', 'nowhere'] as const
const KEY_PLACES = ['authorization', 'x-api-key', 'api_key'] as const
const WORKSPACE_PLACES = ['workspace_id', 'x-workspace'] as const

interface Sender {
  readonly name: string
  readonly key: string | undefined
  /** Undefined: the key is not valid. */
  readonly role?: Role
  /** The workspace of the key. A superuser has none. */
  readonly workspace?: string
}

const unchanged = async (): Promise<undefined> => undefined
const NO_CHANGES = { create: () => assert.fail('the body is not valid'), change: unchanged, archive: unchanged, restore: unchanged }

describe('the matrix of routes, callers and workspaces', function () {
  this.timeout(120_000)
  let directory: DirectoryInMemory
  let senders: readonly Sender[]
  let api: Awaited<ReturnType<typeof serveApi>>
  /** What each route answers to a superuser in open access. */
  let answers: ReadonlyMap<Route, string>

  const serve = (mode: 'open' | 'keys', superuserKeys: readonly string[]) =>
    serveApi({
      directory,
      moreRoutes: [standIn('operator')],
      workspaces: { ...NO_CHANGES, find: async name => directory.find(name), list: async () => [] },
      keys: { create: async () => undefined, list: async () => [], delete: async () => true },
      access: { mode, superuserKeys, maxFailures: 1_000_000, databaseNowMs: () => 1_000_000 },
    })

  before(async () => {
    directory = new DirectoryInMemory()
    for (const name of ['shop', 'lab']) directory.addWorkspace(name)
    const revoked = directory.addKey('shop', 'manage')
    directory.revoke(revoked)
    senders = [
      { name: 'no key', key: undefined },
      { name: 'an unknown key', key: newKey('shop') },
      { name: 'an expired key', key: directory.addKey('shop', 'manage', { expiresAt: new Date(1_000_000) }) },
      { name: 'a revoked key', key: revoked },
      ...['shop', 'lab'].flatMap(workspace =>
        KEY_ROLES.map(role => ({
          name: `a key of ${workspace} to ${role}`,
          key: directory.addKey(workspace, role, { expiresAt: new Date(1_000_001), agentId: role === 'agent' ? ACCEPTED_ID : null }),
          role,
          workspace,
        })),
      ),
    ]
    const open = await serve('open', [])
    answers = new Map(await Promise.all(open.routes.map(async each => [each, await ask(open.url, each)] as const)))
    await open.stop()
  })

  afterEach(() => api.stop())

  /** @returns status and code */
  async function ask(url: string, { method, path }: Route, headers: Record<string, string> = {}, query = ''): Promise<string> {
    const response = await fetch(
      `${url}${path.replace(':name', OWN).replace(':id', idFor(path)).replace(':callback', ACCEPTED_ID).replace(':code', 'not_found')}${query}`,
      {
        method,
        headers: { ...headers, ...(method === 'GET' ? {} : { 'content-type': 'application/json' }) },
        ...(method === 'GET' ? {} : { body: '{"object_ids":[]}' }),
      },
    )
    const text = await response.text()
    const code = response.headers.get('content-type') === 'application/problem+json' ? (JSON.parse(text) as { code: string }).code : 'none'
    const hasChallenge = response.headers.get('www-authenticate') === 'Bearer realm="answerback"'
    assert.equal(hasChallenge, response.status === 401)
    return `${response.status} ${code}`
  }

  const idFor = (path: string): string => (path.startsWith('/v1/objects') ? '7' : ACCEPTED_ID)

  function expected(
    { access, path }: Route,
    { key, role, workspace }: Sender,
    asked: string | undefined,
    isOpen: boolean,
  ): string | undefined {
    if (access === 'public') return undefined
    if (key === undefined && !isOpen) return '401 key_required'
    const acting = key === undefined ? 'superuser' : role
    if (acting === undefined) return '401 invalid_key'
    if (workspace !== undefined && asked !== undefined && asked !== workspace) return '404 not_found'
    if (workspace === undefined && asked === 'nowhere') return '404 workspace_not_found'
    if (!TABLE[access].includes(acting)) return '404 not_found'
    // The path names a workspace too.
    return path.includes(':name') && workspace !== undefined && workspace !== OWN ? '404 not_found' : undefined
  }

  for (const mode of ['keys', 'open'] as const) {
    it(`gives exactly the documented answer with access.mode=${mode}`, async () => {
      const superusers: Sender[] = mode === 'keys' ? [{ name: 'a superuser', key: SUPERUSER_KEY, role: 'superuser' }] : []
      api = await serve(mode, mode === 'keys' ? [SUPERUSER_KEY] : [])
      let asked = 0
      const wrong: string[] = []
      for (const [each, [baseline, answer]] of api.routes.map((one, i) => [one, [...answers][i] as [Route, string]] as const)) {
        assert.equal(each.operationId, baseline.operationId)
        for (const sender of [...senders, ...superusers]) {
          for (const workspace of WORKSPACES) {
            // Each combination comes in another pair of places.
            const [keyPlace, workspacePlace] = [KEY_PLACES[asked % 3], WORKSPACE_PLACES[asked % 2]]
            asked += 1
            const query = new URLSearchParams()
            const headers: Record<string, string> = {}
            if (sender.key !== undefined && keyPlace === 'api_key') query.set('api_key', sender.key)
            else if (sender.key !== undefined)
              headers[keyPlace as string] = keyPlace === 'authorization' ? `Bearer ${sender.key}` : sender.key
            if (workspace !== undefined && workspacePlace === 'workspace_id') query.set('workspace_id', workspace)
            else if (workspace !== undefined) headers['x-workspace'] = workspace
            const got = await ask(api.url, each, headers, query.size > 0 ? `?${query}` : '')
            const wanted = expected(each, sender, workspace, mode === 'open') ?? answer
            if (got !== wanted) wrong.push(`${each.method} ${each.path}, ${sender.name}, workspace ${workspace}: ${got}, not ${wanted}`)
          }
        }
      }
      assert.deepEqual(wrong, [])
      assert.equal(asked, api.routes.length * (12 + superusers.length) * 4)
      console.log(`        ${asked} requests: ${api.routes.length} routes, ${12 + superusers.length} callers, 4 workspaces`)
    })
  }

  it('hides what a key may not do in the same words as a path that does not exist, from HEAD too', async () => {
    api = await serve('keys', [SUPERUSER_KEY])
    const headers = { authorization: `Bearer ${senders.find(({ role }) => role === 'send')?.key}` }
    const bodyOf = async (path: string): Promise<object> => {
      const response = await fetch(`${api.url}${path}`, { headers })
      const { instance, operation_id, request_id, ...rest } = (await response.json()) as Record<string, unknown>
      assert.ok(instance === path && operation_id && request_id)
      return rest
    }
    assert.deepEqual(await bodyOf('/v1/objects'), await bodyOf('/v1/nothing'))
    assert.equal((await fetch(`${api.url}/v1/objects`, { method: 'HEAD', headers })).status, 404)
    assert.equal((await fetch(`${api.url}/v1/callbacks`, { method: 'HEAD', headers })).status, 200)
    assert.equal((await fetch(`${api.url}/v1/objects`, { method: 'DELETE', headers })).status, 405)
  })
})
