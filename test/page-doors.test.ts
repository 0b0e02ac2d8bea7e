import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { accept, finished } from './support/callbacks.ts'
import { eventually } from './support/eventually.ts'
import { rawRequest } from './support/raw-request.ts'
import { type System, startSystem } from './support/system.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const CALLBACK = '{"object_ids":[1]}'
const UPGRADE = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': `${'A'.repeat(22)}==` }
const ALLOWED_ORIGIN = 'https://app.example'

describe('the doors of the live page', function () {
  this.timeout(60_000)
  let system: System
  let admin: string
  let token: string

  before(async () => {
    system = await startSystem({ callback: { HTTP_CORS_ORIGINS: ALLOWED_ORIGIN }, hasTraces: true })
    admin = system.callbackAdminUrl
    token = await tokenOf(admin)
  })

  after(() => system.stop())

  const countOfCallbacks = async (): Promise<number> => (await system.db.query('SELECT id FROM callbacks')).rows.length

  /** @returns status and code */
  const post = async (headers: Record<string, string>, body = CALLBACK): Promise<string> => {
    const { status, code } = await rawRequest(`${admin}/callback`, { method: 'POST', headers, body })
    return `${status} ${code}`
  }

  it('take a callback from the page, and its trace begins with the POST', async () => {
    const id = await accept(admin, [1, 2], { 'x-page-token': token })
    const { trace_id } = await finished(system.callbackUrl, id)
    await eventually('the trace is complete', () => {
      const names = system.zipkin.spans.filter(({ traceId }) => traceId === trace_id).map(({ name }) => name.toLowerCase())
      return names.includes('post /callback') && names.includes('accept callback') && names.includes('fetch object')
    })
  })

  it('make no trace of what the page asks for', async () => {
    assert.equal((await fetch(`${admin}/v1/callbacks`)).status, 200)
    await accept(admin, [3], { 'x-page-token': token })
    await eventually('a later trace has come', () => system.zipkin.spans.some(({ tags }) => tags['answerback.object.id'] === '3'))
    assert.ok(!system.zipkin.spans.some(({ tags }) => tags['url.path'] === '/v1/callbacks'))
  })

  it('count a callback that they refuse, as the port for senders does', async () => {
    const refused = async (): Promise<number> => {
      const metrics = await (await fetch(`${admin}/metrics`)).text()
      return Number(/^callbacks_received_total\{[^}]*outcome="wrong_type"[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? 0)
    }
    const before = await refused()
    assert.equal(await post({ ...JSON_TYPE, 'x-page-token': token }, '{"object_ids":["1"]}'), '422 wrong_type')
    assert.equal(await refused(), before + 1)
  })

  const page = (): Record<string, string> => ({ 'x-page-token': token, ...JSON_TYPE })
  const forged: [what: string, headers: () => Record<string, string>, answer: string][] = [
    ['without the token', () => JSON_TYPE, '403 invalid_page_token'],
    ['with the token of another process', () => ({ ...JSON_TYPE, 'x-page-token': 'A'.repeat(22) }), '403 invalid_page_token'],
    [
      'from a page of another site',
      () => ({ ...page(), origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }),
      '403 cross_site',
    ],
    [
      'from a page of another port',
      () => ({ ...page(), origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }),
      '403 cross_site',
    ],
    ['from an origin that may call the port for senders', () => ({ ...page(), origin: ALLOWED_ORIGIN }), '403 cross_site'],
    ['from a form of a browser that sends Origin alone', () => ({ 'content-type': 'text/plain', origin: 'null' }), '403 cross_site'],
    ['from a form of a browser that sends neither', () => ({ 'content-type': 'text/plain' }), '403 invalid_page_token'],
    ['to another Host', () => ({ ...page(), host: 'rebound.evil.example' }), '403 host_not_allowed'],
  ]
  for (const [what, headers, answer] of forged) {
    it(`refuse a callback ${what}, and store nothing`, async () => {
      const before = await countOfCallbacks()
      assert.equal(await post(headers()), answer)
      assert.equal(await countOfCallbacks(), before)
    })
  }

  it('refuse every other change without the token, whatever the method', async () => {
    const id = await accept(system.callbackUrl, [1])
    for (const [method, path] of [
      ['PATCH', `/v1/callbacks/${id}`],
      ['DELETE', `/v1/callbacks/${id}`],
      ['POST', '/v1/callbacks/flush'],
      ['POST', '/v1/operations'],
      ['DELETE', '/v1/workspaces/default'],
    ] as const)
      assert.equal((await rawRequest(`${admin}${path}`, { method, headers: JSON_TYPE, body: '{}' })).code, 'invalid_page_token')
  })

  it('open the page for somebody who follows a link of another site, and nothing else', async () => {
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    const statusOf = async (path: string, headers: Record<string, string>, method = 'GET'): Promise<number> =>
      (await rawRequest(`${admin}${path}`, { method, headers })).status
    assert.equal(await statusOf('/', link), 200)
    assert.equal(await statusOf('/', { ...link, 'sec-fetch-dest': 'iframe' }), 403)
    assert.equal(await statusOf('/', { ...link, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }), 403)
    assert.equal(await statusOf('/', { ...link, host: 'rebound.evil.example' }), 403)
    for (const path of ['/page/session', '/page/main.ts', '/v1/callbacks', '/config', '/metrics'])
      assert.equal(await statusOf(path, link), 403)
  })

  it('open the stream for their own page alone, whatever http.corsOrigins says', async () => {
    const open = async (url: string, origin: string): Promise<string> => {
      const { status, code } = await rawRequest(`${url}/v1/stream`, { headers: { ...UPGRADE, origin } })
      return `${status} ${code}`
    }
    assert.equal(await open(system.callbackUrl, ALLOWED_ORIGIN), '101 none')
    assert.equal(await open(admin, ALLOWED_ORIGIN), '403 cross_site')
    assert.equal(await open(admin, 'null'), '403 cross_site')
    assert.equal(await open(admin, system.callbackUrl), '403 cross_site')
    assert.equal(await open(admin, admin), '101 none')
  })

  it('answer no preflight', async () => {
    const headers = { origin: ALLOWED_ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-page-token' }
    const { status, headers: answered } = await rawRequest(`${admin}/callback`, { method: 'OPTIONS', headers })
    assert.equal(status, 403)
    assert.equal(answered['access-control-allow-origin'], undefined)
  })

  it('change nothing for the token of a process that has ended, and tell the page the new one', async () => {
    const service = await (await system.startCallbackService()).ready()
    const fresh = await tokenOf(service.adminUrl)
    assert.notEqual(fresh, token)
    const send = (headers: Record<string, string>) =>
      rawRequest(`${service.adminUrl}/callback`, { method: 'POST', headers, body: CALLBACK })
    assert.equal((await send(page())).code, 'invalid_page_token')
    assert.equal((await send({ ...page(), 'x-page-token': fresh })).status, 202)
    await service.stop()
  })

  it('hold as many connections as the port for senders, which needs open files too', async () => {
    const service = await system.startCallbackService({ HTTP_MAX_CONNECTIONS: '20' })
    const sockets = Array.from({ length: 60 }, () => connect(Number(new URL(service.adminUrl).port), '127.0.0.1'))
    await Promise.all(sockets.map(socket => once(socket, 'connect')))
    await eventually('the port has closed the others', () => sockets.filter(({ closed }) => closed).length >= 40)
    assert.equal((await fetch(`${service.adminUrl}/activity`)).status, 200)
    for (const socket of sockets) socket.destroy()
    await service.stop()
  })

  for (const [what, env, isServed] of [
    ['not served beyond loopback while nobody needs a key', { ADMIN_HOST: '0.0.0.0' }, false],
    ['served beyond loopback if callers need a key', { ADMIN_HOST: '0.0.0.0', ACCESS_MODE: 'keys' }, true],
    ['served beyond loopback if admin.page says so', { ADMIN_HOST: '0.0.0.0', ADMIN_PAGE: 'on' }, true],
    ['not served if admin.page says so', { ADMIN_PAGE: 'off' }, false],
  ] as const) {
    it(`are ${what}`, async () => {
      const service = await system.startCallbackService(env)
      const statuses = await Promise.all(
        ['/', '/page/session', '/v1/callbacks', '/metrics'].map(async path => (await rawRequest(`${service.adminUrl}${path}`)).status),
      )
      const needsKey = 'ACCESS_MODE' in env
      assert.deepEqual(statuses, isServed ? [200, 200, needsKey ? 401 : 200, 200] : [404, 404, 404, 200])
      await service.stop()
    })
  }
})

async function tokenOf(adminUrl: string): Promise<string> {
  return ((await (await fetch(`${adminUrl}/page/session`)).json()) as { token: string }).token
}
