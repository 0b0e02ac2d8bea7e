import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import { adminServer } from '../../admin/server.ts'
import { Settings } from '../../config/settings.ts'
import { HTTP_PROBLEMS } from '../../http/problem-kinds.ts'
import { HttpProblem } from '../../http/problems.ts'
import { route } from '../../http/route.ts'
import type { HttpServer } from '../../http/server.ts'
import { createRegistry } from '../../telemetry/metrics.ts'
import { DATABASE_URL, schema } from '../test-settings.ts'

describe('the routes of the admin server', () => {
  let server: HttpServer
  let settings: Settings<typeof schema>

  async function start(changes: Partial<Parameters<typeof adminServer>[0]> = {}): Promise<void> {
    settings = new Settings(schema, { argv: [], env: { DATABASE_URL } })
    const logger = pino({ level: 'silent' })
    const options = { port: 0, host: '127.0.0.1', allowedHosts: '', registry: createRegistry(), settings, logger }
    server = adminServer({ ...options, ...changes } as typeof options)
    await server.start()
  }

  afterEach(() => server.stop())

  const ask = (path: string, options: RequestInit = {}): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`, options)

  async function codeOf(response: Response): Promise<[number, string]> {
    return [response.status, ((await response.json()) as { code: string }).code]
  }

  /** @returns the first line of the answer */
  async function send(bytes: string): Promise<string> {
    const socket = connect(server.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(bytes)
    return (await text(socket)).split('\r\n')[0] as string
  }

  it('are there under their names alone', async () => {
    await start()
    for (const path of ['/CONFIG', '/config/', '/Metrics', '/metrics/', '/debug/pprof/HEAP', '/debug/pprof/profile/'])
      assert.deepEqual(await codeOf(await ask(path)), [404, 'not_found'], path)
  })

  for (const [path, allowed] of [
    ['/metrics', 'GET, HEAD'],
    ['/debug/pprof/heap', 'GET, HEAD'],
    ['/debug/pprof/profile', 'GET, HEAD'],
    ['/config', 'GET, HEAD, PATCH'],
  ] as const) {
    it(`say which methods ${path} has`, async () => {
      await start()
      const response = await ask(path, { method: 'DELETE' })
      assert.deepEqual([response.headers.get('allow'), await codeOf(response)], [allowed, [405, 'method_not_allowed']])
    })
  }

  it('take no change that does not say what it is', async () => {
    await start()
    const response = await ask('/config', { method: 'PATCH', body: Buffer.from('{"emit":true}') })
    assert.deepEqual([await codeOf(response), settings.current.emit], [[415, 'unsupported_media_type'], false])
  })

  it('take no bug for a change that is wrong', async () => {
    await start()
    settings.onChange(() => assert.fail('a bug'))
    const headers = { 'content-type': 'application/json' }
    assert.deepEqual(await codeOf(await ask('/config', { method: 'PATCH', body: '{"emit":true}', headers })), [500, 'internal_error'])
  })

  it('are those of the service too, whose errors are answered as it says', async () => {
    class Own extends Error {}
    const own = route({
      method: 'GET',
      path: '/own/:what',
      operationId: 'getOwn',
      summary: 'Fails',
      access: 'operator',
      limits: 'none',
      answers: {},
      problems: ['own_problem'],
      parse: request => request.params['what'],
      execute: what => {
        throw what === 'known' ? new Own() : new Error('a bug')
      },
    })
    await start({
      routes: [own],
      kinds: { ...HTTP_PROBLEMS, own_problem: { status: 418, title: 'A problem of the service', meaning: 'It is.', remedy: 'None.' } },
      translate: error => (error instanceof Own ? new HttpProblem('own_problem', 'So it is.') : undefined),
    })
    assert.deepEqual(await codeOf(await ask('/own/known')), [418, 'own_problem'])
    assert.deepEqual(await codeOf(await ask('/own/bug')), [500, 'internal_error'])
  })

  it('are for the names that are allowed, and for no request without a name', async () => {
    await start({ allowedHosts: ' one.example  other.example ' })
    for (const [version, headers, status] of [
      ['1.1', 'Host: one.example\r\n', 200],
      ['1.1', 'Host: other.example\r\n', 200],
      ['1.1', 'Host: third.example\r\n', 403],
      ['1.0', '', 403],
      ['1.1', '', 400],
    ] as const) {
      const line = await send(`GET /config HTTP/${version}\r\n${headers}Connection: close\r\n\r\n`)
      assert.match(line, new RegExp(`^HTTP/1.1 ${status} `), `${version} ${headers}`)
    }
  })

  it('are told of in the log as other requests are, with an id', async () => {
    const lines: { msg: string; route?: string }[] = []
    await start({ logger: pino({ level: 'debug' }, { write: line => lines.push(JSON.parse(line)) }) })
    const response = await ask('/config', { headers: { 'x-request-id': 'r1' } })
    assert.equal(response.headers.get('x-request-id'), 'r1')
    assert.equal(response.headers.get('etag'), null)
    await response.text()
    await server.stop()
    assert.deepEqual(
      lines.filter(({ msg }) => msg === 'request answered').map(({ route }) => route),
      ['/config'],
    )
  })
})
