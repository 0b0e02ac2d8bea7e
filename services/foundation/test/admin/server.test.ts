import assert from 'node:assert/strict'
import { type IncomingMessage, request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { heap, time } from '@datadog/pprof'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { heapSampling } from '../../admin/profiles.ts'
import { adminServer } from '../../admin/server.ts'
import { Settings } from '../../config/settings.ts'
import type { HttpServer } from '../../http/server.ts'
import { createRegistry } from '../../telemetry/metrics.ts'
import { DATABASE_URL, schema } from '../test-settings.ts'

describe('the admin server', function () {
  this.timeout(10_000)

  let server: HttpServer
  let settings: Settings<typeof schema>
  let logged: { msg: string; changes?: unknown }[]

  beforeEach(async () => {
    logged = []
    settings = new Settings(schema, { argv: [], env: { DATABASE_URL } })
    const logger = pino({ level: 'info' }, { write: line => logged.push(JSON.parse(line)) })
    server = adminServer({ port: 0, host: '127.0.0.1', allowedHosts: 'metrics.example', registry: createRegistry(), settings, logger })
    await server.start()
  })

  afterEach(() => server.stop())

  function ask(path: string, options: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${server.port}${path}`, options)
  }

  async function problem(response: Response): Promise<{ code: string; detail: string }> {
    assert.equal(response.headers.get('content-type'), 'application/problem+json')
    return (await response.json()) as { code: string; detail: string }
  }

  it('shows the metrics of the process to Prometheus', async () => {
    const response = await ask('/metrics')
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    const text = await response.text()
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds'])
      assert.match(text, new RegExp(`^${name} [0-9.e+-]+$`, 'm'))
  })

  describe('/config', () => {
    const patch = (body: string, type = 'application/json'): Promise<Response> =>
      ask('/config', { method: 'PATCH', body, headers: { 'content-type': type } })

    it('shows all settings, secrets masked', async () => {
      const shown = await (await ask('/config')).json()
      assert.deepEqual(shown, { ...settings.current, database: { url: 'postgresql://reader:***@db.example:5433/answerback' } })
    })

    it('changes what is hot, shows what holds now and writes it to the log', async () => {
      const response = await patch('{"fetch":{"timeoutMs":5},"emit":true}')
      assert.equal(response.status, 200)
      assert.deepEqual(await response.json(), settings.masked())
      assert.deepEqual([settings.current.fetch.timeoutMs, settings.current.emit], [5, true])
      assert.deepEqual(
        logged.filter(line => line.msg === 'settings changed').map(line => line.changes),
        [{ fetch: { timeoutMs: 5 }, emit: true }],
      )
    })

    for (const type of ['application/json; charset=utf-8', 'application/merge-patch+json']) {
      it(`takes a change as ${type}`, async () => {
        assert.equal((await patch('{"emit":true}', type)).status, 200)
        assert.equal(settings.current.emit, true)
      })
    }

    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json-patch+json', 'json']) {
      it(`answers 415 to a change as ${type}, says what it takes, and changes nothing`, async () => {
        const response = await patch('{"emit":true}', type)
        assert.deepEqual([response.status, (await problem(response)).code], [415, 'unsupported_media_type'])
        assert.equal(response.headers.get('accept-patch'), 'application/merge-patch+json, application/json')
        assert.equal(settings.current.emit, false)
      })
    }

    it('quotes at most 64 characters of a value that is refused', async () => {
      const { detail } = await problem(await patch(`{"fetch":{"timeoutMs":"${'x'.repeat(10_000)}"}}`))
      assert.ok(detail.length < 200, detail)
    })

    const refused: [body: string, status: number, code: string, detail: RegExp][] = [
      ['{"fetch":{"timeoutMs":"12abc"}}', 422, 'invalid_setting', /^fetch\.timeoutMs: must be an integer from 1: value was "12abc"$/],
      ['{"emit":true,"http":{"port":1}}', 422, 'not_changeable', /^http\.port cannot change while the service runs$/],
      ['{"emit":true,"nope":{"a":1}}', 422, 'unknown_setting', /^there is no setting nope$/],
      ['{"__proto__":{"emit":true}}', 422, 'unknown_setting', /^there is no setting __proto__$/],
      ['[]', 422, 'invalid_setting', /JSON object/],
      ['{"emit":', 400, 'invalid_json', /JSON/],
      ['', 400, 'empty_body', /JSON/],
      [`{"emit":${' '.repeat(16 * 1024)}true}`, 413, 'body_too_large', /16384 bytes/],
    ]
    for (const [body, status, code, detail] of refused) {
      it(`answers ${status} ${code} to a change that is ${body.slice(0, 40) || 'empty'}, and changes nothing`, async () => {
        const before = settings.current
        const response = await patch(body)
        assert.equal(response.status, status)
        const refusal = await problem(response)
        assert.equal(refusal.code, code)
        assert.match(refusal.detail, detail)
        assert.equal(settings.current, before)
        assert.equal(settings.current.emit, false)
      })
    }

    it('answers 405 to another method, and says which are allowed', async () => {
      const response = await ask('/config', { method: 'PUT' })
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD, PATCH'])
    })
  })

  describe('/debug/pprof', () => {
    /** What a profile holds, for looking up the names in it. @throws when it is not gzip */
    async function decoded(response: Response, name = 'profile'): Promise<Buffer> {
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('content-disposition'), `attachment; filename="${name}.pb.gz"`)
      assert.equal(response.headers.get('content-type'), 'application/octet-stream')
      const body = Buffer.from(await response.arrayBuffer())
      assert.deepEqual([...body.subarray(0, 2)], [0x1f, 0x8b])
      return gunzipSync(body)
    }

    before(() => heapSampling.start?.())

    after(() => heap.stop())

    it('gives what lives on the heap: objects and space', async () => {
      const profile = await decoded(await ask('/debug/pprof/heap'), 'heap')
      for (const name of ['inuse_objects', 'count', 'inuse_space', 'bytes']) assert.ok(profile.includes(name), name)
    })

    it('gives where the CPU was for as many seconds as asked', async () => {
      const started = performance.now()
      const asked = ask('/debug/pprof/profile?seconds=1')
      burnUntil(started + 600)
      const profile = await decoded(await asked)
      const tookMs = performance.now() - started
      assert.ok(tookMs >= 999 && tookMs < 4000, `${tookMs} ms`)
      for (const name of ['sample', 'wall', 'nanoseconds']) assert.ok(profile.includes(name), name)
    })

    for (const query of ['seconds=0', 'seconds=-1', 'seconds=1.5', 'seconds=301', 'seconds=abc', 'seconds=', 'seconds=1&seconds=2']) {
      it(`answers 400 invalid_parameter to ?${query}`, async () => {
        const response = await ask(`/debug/pprof/profile?${query}`)
        assert.deepEqual([response.status, (await problem(response)).code], [400, 'invalid_parameter'])
      })
    }

    it('takes one CPU profile at a time: a second one gets 503 and when to ask again', async () => {
      const first = ask('/debug/pprof/profile?seconds=1')
      await until(() => time.isStarted())
      const second = await ask('/debug/pprof/profile?seconds=1')
      assert.deepEqual([second.status, second.headers.get('retry-after')], [503, '30'])
      assert.equal((await problem(second)).code, 'profile_running')
      await decoded(await first)
    })

    it('ends a profile whose asker has gone, so that the next can have one', async () => {
      const asker = new AbortController()
      const gone = assert.rejects(ask('/debug/pprof/profile?seconds=300', { signal: asker.signal }))
      await until(() => time.isStarted())
      asker.abort()
      await gone
      await until(async () => (await ask('/debug/pprof/profile?seconds=1')).status === 200)
    })

    it('does not hold a stop for the sake of a profile', async () => {
      const cut = assert.rejects(ask('/debug/pprof/profile?seconds=300'))
      await until(() => time.isStarted())
      const started = performance.now()
      await server.stop()
      await cut
      const tookMs = performance.now() - started
      assert.ok(tookMs < 2500, `${tookMs} ms`)
      await until(() => !time.isStarted())
    })
  })

  describe('a browser', () => {
    const PATHS = ['/metrics', '/config', '/debug/pprof/heap', '/debug/pprof/profile?seconds=1', '/nowhere']

    function get(path: string, headers: Record<string, string>): Promise<IncomingMessage> {
      return new Promise((resolve, reject) => {
        request({ port: server.port, path, headers }, response => resolve(response.resume()))
          .on('error', reject)
          .end()
      })
    }

    for (const host of ['rebound.example', 'rebound.example:6060', 'localhost.example', '127.0.0.1.example', '1.2.3', '[::1']) {
      it(`is refused under the name ${host}, whatever it asks for`, async () => {
        for (const path of PATHS) assert.equal((await get(path, { host })).statusCode, 403, path)
      })
    }

    for (const host of ['127.0.0.1:6060', '10.0.0.7', '[::1]:6060', 'localhost', 'LOCALHOST:6060', 'metrics.example:80']) {
      it(`is answered under ${host}`, async () => {
        assert.equal((await get('/metrics', { host })).statusCode, 200)
      })
    }

    const foreign: Record<string, string>[] = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:3000' },
    ]
    for (const headers of foreign) {
      it(`is refused on a page of another site: ${JSON.stringify(headers)}`, async () => {
        for (const path of PATHS) assert.equal((await get(path, { host: 'localhost', ...headers })).statusCode, 403, path)
      })
    }

    for (const headers of [{ 'sec-fetch-site': 'none' }, { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:6060' }]) {
      it(`is answered on a page of ours: ${JSON.stringify(headers)}`, async () => {
        assert.equal((await get('/config', { host: 'localhost:6060', ...headers })).statusCode, 200)
      })
    }
  })

  it('answers 404 to any other path', async () => {
    const response = await ask('/debug/pprof/')
    assert.deepEqual([response.status, (await problem(response)).code], [404, 'not_found'])
  })
})

/** Something for the profile to see. */
function burnUntil(deadline: number): number {
  let sum = 0
  while (performance.now() < deadline) sum += Math.sqrt(sum + 1)
  return sum
}
