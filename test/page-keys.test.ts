import assert from 'node:assert/strict'
import type { Access } from '#foundation/http/access.ts'
import { accept } from './support/callbacks.ts'
import { eventually } from './support/eventually.ts'
import { rawRequest } from './support/raw-request.ts'
import { callbackPortRoutes } from './support/routes.ts'
import { StreamClient } from './support/stream-client.ts'
import { type System, startSystem } from './support/system.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)
const ROLES = ['send', 'read', 'manage'] as const
const MAY: Readonly<Record<Exclude<Access, 'public' | 'operator'>, readonly string[]>> = {
  send: ['send', 'manage'],
  follow: ['send', 'read', 'manage'],
  read: ['read', 'manage'],
  manage: ['manage'],
  agent: [],
  superuser: [],
}

describe('the admin port, while callers need a key', function () {
  this.timeout(60_000)
  let system: System
  let admin: string
  let token: string
  let callback: string
  const keys = new Map<string, string>()

  before(async () => {
    // The log shows all it ever shows.
    system = await startSystem({
      hasTraces: true,
      callback: { ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY, LOG_LEVEL: 'trace', CLIENT_SERVICE_ADMIN_URL: 'http://127.0.0.1:1' },
    })
    admin = system.callbackAdminUrl
    token = ((await (await fetch(`${admin}/page/session`)).json()) as { token: string }).token
    for (const workspace of ['shop', 'lab']) {
      await make('/v1/workspaces', { name: workspace, ...(workspace === 'shop' && { limits: { requests_per_second: 1 } }) })
      for (const role of ROLES) keys.set(`${workspace} ${role}`, (await make(`/v1/workspaces/${workspace}/keys`, { role })).key)
    }
    callback = await accept(system.callbackUrl, [1], { authorization: `Bearer ${keys.get('lab send')}` })
  })

  after(() => system.stop())

  async function make(path: string, body: object): Promise<{ key: string }> {
    const headers = { authorization: `Bearer ${SUPERUSER_KEY}`, 'x-page-token': token, 'content-type': 'application/json' }
    const response = await fetch(`${admin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    assert.equal(response.status, 201, path)
    return (await response.json()) as { key: string }
  }

  const ask = (path: string, key?: string, method = 'GET') =>
    rawRequest(`${admin}${path}`, {
      method,
      headers: { 'x-page-token': token, 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: method === 'GET' ? '' : '{}',
    })

  const routes = callbackPortRoutes().filter(({ access }) => access !== 'public')
  const pathOf = (path: string): string => path.replace(':name', 'lab').replace(':id', path.startsWith('/v1/objects') ? '7' : callback)

  it('serves the page and its files to everybody, and says that callers need a key', async () => {
    assert.equal((await ask('/')).status, 200)
    assert.equal((JSON.parse((await ask('/page/session')).body) as { needs_key: boolean }).needs_key, true)
  })

  it('gives nothing of a workspace to callers without a key, though they have the token', async () => {
    for (const { method, path } of [
      ...routes,
      { method: 'GET', path: '/client-service/config' },
      { method: 'PATCH', path: '/client-service/config' },
    ]) {
      assert.equal((await ask(pathOf(path), undefined, method)).code, 'key_required', `${method} ${path}`)
      const unknown = await ask(pathOf(path), `ab_lab_${'A'.repeat(43)}`, method)
      assert.ok(['invalid_key', 'too_many_failures'].includes(unknown.code), `${method} ${path}: ${unknown.code}`)
    }
  })

  it('shows the paths that a role may not use, and those of other workspaces, as if they did not exist', async () => {
    for (const { method, path, access } of routes) {
      const allowed = MAY[access as keyof typeof MAY]
      for (const role of ROLES) {
        if (!allowed.includes(role)) {
          const { status, code } = await ask(pathOf(path), keys.get(`lab ${role}`), method)
          assert.deepEqual([status, code], [404, 'not_found'], `${method} ${path} by ${role}`)
        }
        const foreign = await ask(`${pathOf(path)}?workspace_id=shop`, keys.get(`lab ${role}`), method)
        assert.deepEqual([foreign.status, foreign.code], [404, 'not_found'], `${method} ${path} of another workspace by ${role}`)
      }
    }
  })

  it('lets a reader look at its own workspace and change nothing', async () => {
    const reader = keys.get('lab read')
    assert.equal((await ask(`/v1/callbacks/${callback}`, reader)).status, 200)
    for (const method of ['PATCH', 'DELETE']) assert.equal((await ask(`/v1/callbacks/${callback}`, reader, method)).status, 404)
    assert.equal((await ask('/callback', reader, 'POST')).status, 404)
    assert.equal((await ask(`/v1/callbacks/${callback}?workspace_id=default`, SUPERUSER_KEY)).code, 'callback_not_found')
    assert.equal((await ask(`/v1/callbacks/${callback}?workspace_id=lab`, SUPERUSER_KEY)).status, 200)
  })

  it('tells a key what it may do, and in which workspace', async () => {
    const callerOf = async (key: string | undefined): Promise<string> => {
      const { role, workspace } = JSON.parse((await ask('/page/caller', key)).body) as { role: string; workspace: string | null }
      return `${role} ${workspace}`
    }
    for (const role of ROLES) assert.equal(await callerOf(keys.get(`lab ${role}`)), `${role} lab`)
    assert.equal(await callerOf(SUPERUSER_KEY), 'superuser null')
    assert.equal((await ask('/page/caller')).code, 'key_required')
  })

  it('shows and changes the switches of the client service for superusers alone', async () => {
    for (const method of ['GET', 'PATCH']) {
      for (const role of ROLES) assert.equal((await ask('/client-service/config', keys.get(`lab ${role}`), method)).code, 'not_found')
      assert.equal((await ask('/client-service/config', SUPERUSER_KEY, method)).code, 'switches_unreachable')
    }
  })

  it('holds a key to the limits of its workspace, and counts nothing that a superuser looks at', async () => {
    const codes = async (key: string | undefined): Promise<string[]> =>
      Promise.all(Array.from({ length: 6 }, async () => (await ask('/v1/callbacks?workspace_id=shop', key)).code))
    assert.deepEqual([...new Set(await codes(SUPERUSER_KEY))], ['none'])
    assert.ok((await codes(keys.get('shop read'))).includes('too_many_requests'))
  })

  it('streams a workspace to its key, and closes with 4401 when the key is revoked', async () => {
    const headers = { authorization: `Bearer ${SUPERUSER_KEY}`, 'content-type': 'application/json' }
    const made = await fetch(`${system.callbackUrl}/v1/workspaces/lab/keys`, { method: 'POST', headers, body: '{"role":"read"}' })
    const { id, key } = (await made.json()) as { id: string; key: string }
    const client = new StreamClient(admin, { api_key: key })
    await eventually('it is current', () => client.isCurrent)
    const sent = await accept(system.callbackUrl, [2], { authorization: `Bearer ${keys.get('lab send')}` })
    await eventually('the callback has come', () => client.states.has(sent))
    const closed = client.closed()
    assert.equal((await fetch(`${system.callbackUrl}/v1/workspaces/lab/keys/${id}`, { method: 'DELETE', headers })).status, 204)
    assert.equal(await closed, 4401)
    keys.set('revoked', key)
  })

  it('has no key in its log or its spans, not even one that came in a URL', async () => {
    await ask(`/v1/nothing?api_key=${keys.get('lab read')}`)
    await ask(`/v1/callbacks?api_key=${keys.get('lab read')}&unknown=1`)
    await accept(system.callbackUrl, [77], { authorization: `Bearer ${keys.get('lab send')}` })
    await eventually('the spans have come', () => system.zipkin.spans.some(({ tags }) => tags['answerback.object.id'] === '77'))
    const said = JSON.stringify([system.callbackService.log, system.zipkin.spans])
    assert.match(said, /request answered/)
    for (const key of [SUPERUSER_KEY, ...keys.values()]) assert.ok(!said.includes(key))
    assert.ok(!said.includes('api_key='))
  })
})
