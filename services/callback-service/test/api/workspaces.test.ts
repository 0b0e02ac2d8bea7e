import assert from 'node:assert/strict'
import type { AccessKeys } from '../../api/workspaces/key-routes.ts'
import type { Workspaces } from '../../api/workspaces/workspace-routes.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { ListedKey } from '../../domain/workspaces/access-key.ts'
import type { Caller } from '../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { NO_LIMITS, type Workspace } from '../../domain/workspaces/workspace.ts'
import { changed } from '../../domain/workspaces/workspace-changes.ts'
import { WorkspaceConflictError } from '../../domain/workspaces/workspace-conflict.ts'
import { serveApi } from './serve-api.ts'

const ID = '01890a5d-ac96-774b-bcce-b302099a8057'
const KEY = `ab_shop_${'x'.repeat(43)}`
const at = new Date(0)
const time = at.toISOString()
const JSON_TYPE = { 'content-type': 'application/json' }

const workspace = (name: string, changes: Partial<Workspace> = {}): Workspace => ({ ...BUILT_IN_DEFAULT, name, ...changes })
const shop = workspace('shop', { signingSecrets: ['whsec_secret', 'whsec_older'], limits: { ...NO_LIMITS, requestsPerSecond: 5000 } })
const listed: ListedKey = {
  id: ID,
  workspace: 'shop',
  role: 'send',
  agentId: null,
  name: 'n',
  createdAt: at,
  expiresAt: null,
  lastUsedAt: at,
}

const SHOP_BODY = {
  kind: 'Workspace',
  id: 'shop',
  href: '/v1/workspaces/shop',
  description: '',
  client_service_url: null,
  ttl_seconds: null,
  keep_offline: null,
  signing_secret_count: 2,
  paused: false,
  weight: 1,
  fetcher: 'service',
  agent_labels: [],
  limits: {
    requests_per_second: 5000,
    burst: null,
    active_requests: null,
    unfinished_callbacks: null,
    body_bytes: null,
    object_ids: null,
  },
  created_at: time,
  archived_at: null,
}
const KEY_BODY = {
  kind: 'Key',
  id: ID,
  href: `/v1/workspaces/shop/keys/${ID}`,
  workspace: 'shop',
  role: 'send',
  agent: null,
  name: 'n',
  created_at: time,
  expires_at: null,
  last_used_at: time,
}

describe('/v1/workspaces', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let asked: unknown[]

  afterEach(() => api.stop())

  const exists = (name: string): Workspace | undefined => [shop, workspace('default'), workspace('other')].find(one => one.name === name)
  const superuser: Caller = { role: 'superuser', workspace: workspace('default'), key: undefined }
  const manager: Caller = { role: 'manage', workspace: shop, key: undefined }

  async function serve(options: { caller?: Caller; workspaces?: Partial<Workspaces>; keys?: Partial<AccessKeys> } = {}): Promise<void> {
    asked = []
    const note = <T>(what: unknown[], answer: T): T => {
      asked.push(what)
      return answer
    }
    api = await serveApi({
      caller: () => options.caller ?? superuser,
      workspaces: {
        find: async name => exists(name),
        list: async page => note(['list', page], [workspace('default'), shop].slice(0, page.limit)),
        create: async created => note(['create', created], changed(workspace(created.name), created)),
        change: async (name, changes) => note(['change', name, changes], exists(name)),
        archive: async name => note(['archive', name], exists(name)),
        restore: async name => note(['restore', name], exists(name)),
        ...options.workspaces,
      },
      keys: {
        create: async (name, key) => note(['create key', name, key], exists(name) && { key: KEY, listed }),
        list: async (name, page) => note(['list keys', name, page], exists(name) && [listed]),
        delete: async (name, id) => note(['delete key', name, id], id === ID),
        ...options.keys,
      },
    })
  }

  async function ask(method: string, path: string, body?: string, headers: Record<string, string> = JSON_TYPE) {
    const response = await fetch(`${api.url}/v1/workspaces${path}`, { method, ...(body !== undefined && { body, headers }) })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  /** Returns the status and the code of a problem. */
  async function refusal(method: string, path: string, body?: string, headers?: Record<string, string>) {
    const answer = await ask(method, path, body, headers)
    return [answer.status, answer.body?.code]
  }

  it('lists workspaces with links, to a superuser', async () => {
    await serve()
    const { status, body, headers } = await ask('GET', '?limit=1')
    assert.deepEqual([status, body.kind, body.size, body.items[0].id], [200, 'WorkspaceList', 1, 'default'])
    assert.equal(headers.get('link'), `<${body.next}>; rel="next"`)
    await fetch(`${api.url}${body.next}`)
    assert.deepEqual(asked, [
      ['list', { limit: 2, position: undefined }],
      ['list', { limit: 2, position: { direction: 'after', key: 'default' } }],
    ])
  })

  it('lists only its own to any other caller, without asking for the others', async () => {
    await serve({ caller: manager })
    const { body } = await ask('GET', '')
    assert.deepEqual([body.items, body.next, asked], [[SHOP_BODY], undefined, []])
  })

  it('shows a workspace with the number of its secrets, not the secrets', async () => {
    await serve({ caller: manager })
    const { status, body } = await ask('GET', '/shop')
    assert.deepEqual([status, body], [200, SHOP_BODY])
  })

  it('creates a workspace', async () => {
    await serve()
    const { status, headers, body } = await ask('POST', '', '{"name":"new","limits":{"requests_per_second":5},"paused":true}')
    assert.deepEqual([status, headers.get('location'), body.id, body.paused], [201, '/v1/workspaces/new', 'new', true])
    assert.deepEqual(asked, [['create', { name: 'new', isPaused: true, limits: { requestsPerSecond: 5 } }]])
  })

  it('changes a workspace by either type of a patch', async () => {
    await serve()
    for (const type of ['application/json', 'application/merge-patch+json']) {
      assert.equal((await ask('PATCH', '/shop', '{"weight":null}', { 'content-type': type })).status, 200)
    }
    assert.deepEqual(asked, [
      ['change', 'shop', { weight: 1 }],
      ['change', 'shop', { weight: 1 }],
    ])
  })

  it('archives and restores without a body', async () => {
    await serve()
    const archived = await ask('DELETE', '/shop')
    const restored = await ask('POST', '/shop/restore')
    assert.deepEqual([archived.status, archived.body, restored.status, restored.body], [204, undefined, 200, SHOP_BODY])
    assert.deepEqual(asked, [
      ['archive', 'shop'],
      ['restore', 'shop'],
    ])
  })

  it('shows a new key once, and lets nobody cache it', async () => {
    await serve({ caller: manager })
    const { status, headers, body } = await ask('POST', '/shop/keys', '{"role":"send","name":"n"}')
    assert.deepEqual([status, body], [201, { ...KEY_BODY, key: KEY }])
    assert.deepEqual([headers.get('location'), headers.get('cache-control')], [KEY_BODY.href, 'no-store'])
    assert.deepEqual(asked, [['create key', 'shop', { role: 'send', agentId: null, name: 'n', expiresAt: null }]])
    assert.ok(!api.logged.join('').includes(KEY))
  })

  it('lists keys without the keys, and takes no cursor of another workspace', async () => {
    await serve({ keys: { list: async () => [listed, { ...listed, id: ID.replace('0', '1') }] } })
    const { body } = await ask('GET', '/shop/keys?limit=1')
    assert.deepEqual([body.kind, body.items], ['KeyList', [KEY_BODY]])
    assert.match(body.next, /^\/v1\/workspaces\/shop\/keys\?/)
    assert.equal((await fetch(`${api.url}${body.next}`)).status, 200)
    assert.deepEqual(await refusal('GET', body.next.replace('/v1/workspaces/shop', '/other')), [400, 'invalid_parameter'])
  })

  it('revokes a key once', async () => {
    await serve({ caller: manager })
    assert.equal((await ask('DELETE', `/shop/keys/${ID}`)).status, 204)
    assert.deepEqual(await refusal('DELETE', `/shop/keys/${ID.replace('0', '1')}`), [404, 'key_not_found'])
    assert.deepEqual(await refusal('DELETE', '/shop/keys/x'), [404, 'key_not_found'])
  })

  const onOne: [method: string, path: string, body?: string][] = [
    ['GET', ''],
    ['PATCH', '', '{"paused":true}'],
    ['GET', '/keys'],
    ['POST', '/keys', '{"role":"send"}'],
    ['DELETE', `/keys/${ID}`],
    ['DELETE', ''],
    ['POST', '/restore'],
  ]
  for (const [method, path, body] of onOne) {
    it(`answers ${method} :name${path} of another workspace as if there were nothing, whether it exists or not`, async () => {
      await serve({ caller: manager })
      for (const name of ['other', 'absent', 'SHOP', 'x'.repeat(65), 'a%00b', 'sh%C3%B6p']) {
        assert.deepEqual(await refusal(method, `/${name}${path}`, body), [404, 'not_found'])
      }
      assert.deepEqual(asked, [])
    })
  }

  for (const [method, path, body] of onOne.filter(([method, path]) => method !== 'DELETE' || path === '')) {
    it(`tells a superuser that there is no workspace for ${method} :name${path}`, async () => {
      await serve()
      for (const name of ['absent', 'SHOP', 'x'.repeat(65), 'a%00b', 'sh%C3%B6p']) {
        assert.deepEqual(await refusal(method, `/${name}${path}`, body), [404, 'workspace_not_found'])
      }
    })
  }

  it('answers a patch of what only an operator may change as if there were nothing, and changes nothing', async () => {
    await serve({ caller: manager })
    for (const member of ['"client_service_url":null', '"weight":1', '"limits":{}', '"paused":true,"weight":2']) {
      assert.deepEqual(await refusal('PATCH', '/shop', `{${member}}`), [404, 'not_found'])
    }
    assert.deepEqual(asked, [])
    assert.equal((await ask('PATCH', '/shop', '{"paused":true,"ttl_seconds":5}')).status, 200)
  })

  const wrong: [method: string, path: string, body: string, status: number, code: string][] = [
    ['POST', '', '', 400, 'empty_body'],
    ['POST', '', '{', 400, 'invalid_json'],
    ['POST', '', '{"name":"a","name":"b"}', 400, 'duplicate_member'],
    ['POST', '', '[]', 422, 'not_an_object'],
    ['POST', '', '{}', 422, 'missing_member'],
    ['POST', '', '{"name":"a b"}', 422, 'invalid_value'],
    ['POST', '', '{"name":"a","client_service_url":"http://169.254.169.254/"}', 422, 'invalid_value'],
    ['POST', '', `{"name":"a","description":"${'x'.repeat(17_000)}"}`, 413, 'body_too_large'],
    ['PATCH', '/shop', '{"name":"b"}', 422, 'unknown_member'],
    ['PATCH', '/shop', '{"weight":"1"}', 422, 'wrong_type'],
    ['PATCH', '/shop', '{"weight":1e308}', 422, 'out_of_range'],
    ['PATCH', '/shop', '{"weight":1.5}', 422, 'not_an_integer'],
    ['POST', '/shop/keys', '{"role":"superuser"}', 422, 'invalid_value'],
    ['POST', '/shop/keys', '{"role":"agent"}', 422, 'missing_member'],
    ['POST', '/shop/keys', '{"role":"send","expires_at":"2001-01-01T00:00:00Z"}', 422, 'out_of_range'],
  ]
  for (const [method, path, body, status, code] of wrong) {
    it(`answers ${method} ${path} ${body.slice(0, 50)} with ${status} ${code}`, async () => {
      await serve()
      assert.deepEqual(await refusal(method, path, body), [status, code])
      assert.deepEqual(asked, [])
    })
  }

  it('says which member is wrong', async () => {
    await serve()
    const { body } = await ask('PATCH', '/shop', '{"limits":{"burst":0}}')
    assert.deepEqual(body.errors, [{ pointer: '/limits/burst', code: 'out_of_range', detail: 'The value must be from 1 to 1000000.' }])
  })

  it('takes nothing that a page of another site can send without asking', async () => {
    await serve()
    for (const type of ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain']) {
      for (const [method, path] of [
        ['POST', ''],
        ['PATCH', '/shop'],
        ['POST', '/shop/keys'],
        ['POST', '/shop/restore'],
      ] as const) {
        assert.deepEqual(await refusal(method, path, '{"name":"a"}', { 'content-type': type }), [415, 'unsupported_media_type'])
      }
    }
    const bare = await fetch(`${api.url}/v1/workspaces/shop/restore`, { method: 'POST', headers: { origin: 'https://evil.example' } })
    assert.deepEqual([bare.status, asked], [415, []])
  })

  for (const [code, method, path, body] of [
    ['workspace_exists', 'POST', '', '{"name":"a"}'],
    ['too_many_workspaces', 'POST', '', '{"name":"a"}'],
    ['too_many_client_services', 'PATCH', '/shop', '{"weight":1}'],
    ['default_workspace', 'DELETE', '/shop'],
    ['too_many_keys', 'POST', '/shop/keys', '{"role":"send"}'],
  ] as const) {
    it(`answers ${code} with 409`, async () => {
      const conflict = () => Promise.reject(new WorkspaceConflictError(code, 'because'))
      await serve({ workspaces: { create: conflict, change: conflict, archive: conflict }, keys: { create: conflict } })
      assert.deepEqual(await refusal(method, path, body), [409, code])
    })
  }

  it('asks a caller to try again while the database is away', async () => {
    const away = () => Promise.reject(new StorageUnavailableError('away'))
    await serve({ workspaces: { create: away, list: away } })
    for (const [method, body] of [['POST', '{"name":"a"}'], ['GET']] as const) {
      const answer = await ask(method, '', body)
      assert.deepEqual([answer.status, answer.body.code, answer.headers.get('retry-after')], [503, 'storage_unavailable', '1'])
    }
  })
})
