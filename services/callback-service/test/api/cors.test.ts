import assert from 'node:assert/strict'
import { serveApi } from './serve-api.ts'

const PAGE = 'https://app.example'

describe('CORS', () => {
  let api: Awaited<ReturnType<typeof serveApi>>

  afterEach(() => api.stop())

  const ask = (method: string, headers: Record<string, string>, path = '/callback'): Promise<Response> =>
    fetch(`${api.url}${path}`, { method, headers })
  const asksFor = { origin: PAGE, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
  const corsHeadersOf = ({ headers }: Response): string[] =>
    [...headers.keys()].filter(name => name.startsWith('access-control-') || name === 'vary')

  it('is off by default: a preflight gets 405, and no answer says a word of it', async () => {
    api = await serveApi()
    const preflight = await ask('OPTIONS', asksFor)
    assert.deepEqual([preflight.status, corsHeadersOf(preflight)], [405, []])
    assert.deepEqual(corsHeadersOf(await ask('GET', { origin: PAGE }, '/livez')), [])
  })

  it('answers the preflight of an allowed origin', async () => {
    api = await serveApi({ corsOrigins: `https://other.example ${PAGE}` })
    const { status, headers } = await ask('OPTIONS', asksFor)
    assert.equal(status, 204)
    assert.deepEqual([headers.get('access-control-allow-origin'), headers.get('vary')], [PAGE, 'Origin'])
    assert.match(headers.get('access-control-allow-methods') ?? '', /POST, PUT, PATCH, DELETE/)
    assert.match(
      headers.get('access-control-allow-headers') ?? '',
      /Authorization, X-API-Key, X-Workspace, Content-Type.*Idempotency-Key.*webhook-id, webhook-timestamp, webhook-signature/,
    )
  })

  it('lets an allowed origin read answers, their headers and refusals', async () => {
    api = await serveApi({ corsOrigins: PAGE, inbox: { waitSeconds: 7, accept: () => assert.fail('there is no room') } })
    for (const response of [await ask('GET', { origin: PAGE }, '/v1/objects'), await ask('POST', { origin: PAGE })]) {
      assert.equal(response.headers.get('access-control-allow-origin'), PAGE)
      for (const name of ['Location', 'Link', 'Retry-After', 'Idempotency-Replayed', 'RateLimit', 'RateLimit-Policy', 'WWW-Authenticate'])
        assert.ok(response.headers.get('access-control-expose-headers')?.includes(name), name)
    }
  })

  it('tells another origin nothing, and caches that answers differ', async () => {
    api = await serveApi({ corsOrigins: PAGE })
    for (const origin of ['https://evil.example', 'null', `${PAGE}.evil.example`, 'http://app.example']) {
      const preflight = await ask('OPTIONS', { ...asksFor, origin })
      assert.deepEqual([preflight.status, corsHeadersOf(preflight)], [405, ['vary']], origin)
      const read = await ask('GET', { origin }, '/livez')
      assert.deepEqual([read.status, corsHeadersOf(read)], [200, ['vary']], origin)
    }
  })

  it('answers OPTIONS that is no preflight as before', async () => {
    api = await serveApi({ corsOrigins: PAGE })
    assert.equal((await ask('OPTIONS', { origin: PAGE })).status, 405)
  })
})
