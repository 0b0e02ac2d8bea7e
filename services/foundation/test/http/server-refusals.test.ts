import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { mock } from 'node:test'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { HttpServer, type HttpServerOptions, type Refusal } from '../../http/server.ts'
import { RawConnection } from './raw-connection.ts'

interface Line {
  readonly msg: string
  readonly connections?: number
}

describe('a request that an HttpServer refuses by itself', () => {
  let server: HttpServer
  let refusals: Refusal[]
  let lines: Line[]
  let handled: { request: IncomingMessage; response: ServerResponse }[]
  let connections: RawConnection[]

  function newServer(options: Partial<HttpServerOptions> = {}): HttpServer {
    return new HttpServer({
      name: 'test',
      port: 0,
      host: '127.0.0.1',
      logger: pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) }),
      handler: (request, response) => handled.push({ request, response }),
      onRefused: refusal => refusals.push(refusal),
      ...options,
    })
  }

  async function start(options: Partial<HttpServerOptions> = {}): Promise<void> {
    server = newServer(options)
    await server.start()
  }

  async function send(bytes: string): Promise<RawConnection> {
    const connection = await RawConnection.open(server.port)
    connections.push(connection)
    connection.send(bytes)
    return connection
  }

  beforeEach(() => {
    refusals = []
    lines = []
    handled = []
    connections = []
  })

  afterEach(async () => {
    for (const { socket } of connections) socket.destroy()
    for (const { request } of handled) request.socket.destroy()
    await server.stop()
  })

  const refused: [what: string, bytes: string, refusal: Refusal][] = [
    ['no HTTP', 'no HTTP\r\n\r\n', { code: 'bad_request', status: 400, method: 'unknown', url: undefined }],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\n\r\n', { code: 'method_not_allowed', status: 405, method: 'CONNECT', url: 'x:1' }],
    ['an expectation', 'PUT /x HTTP/1.1\r\nExpect: tea\r\n\r\n', { code: 'expectation_failed', status: 417, method: 'PUT', url: '/x' }],
    ...['ftp://x', 'xhttp://x', 'http://[::1/x'].map((url): [string, string, Refusal] => [
      `the target ${url}`,
      `GET ${url} HTTP/1.1\r\n\r\n`,
      { code: 'bad_request', status: 400, method: 'GET', url },
    ]),
  ]
  for (const [what, bytes, refusal] of refused) {
    it(`is told of once, and seen by no handler: ${what}`, async () => {
      await start()
      const connection = await send(bytes)
      await connection.closed()
      assert.match(connection.received, new RegExp(`^HTTP/1.1 ${refusal.status} `))
      assert.deepEqual([refusals, handled], [[refusal], []])
    })
  }

  it('is refused also where nobody wants to be told', async () => {
    await start({ onRefused: undefined } as unknown as Partial<HttpServerOptions>)
    const connection = await send('no HTTP\r\n\r\n')
    await connection.closed()
    assert.match(connection.received, /^HTTP\/1\.1 400 /)
  })

  for (const url of ['/', '/x', '*', 'HTTP://x/', 'https://x']) {
    it(`is none with the target ${url}, and without a Host: that is for the handler`, async () => {
      await start()
      await send(`OPTIONS ${url} HTTP/1.1\r\n\r\n`)
      await until(() => handled.length === 1)
      assert.deepEqual([handled[0]?.request.url, refusals], [url, []])
    })
  }

  it('is told of by the handler where it has the request already', async () => {
    await start()
    const connection = await send('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    await until(() => handled.length === 1)
    connection.send('zz\r\n')
    await connection.closed()
    assert.deepEqual(refusals, [])
  })

  it('may be one connection too many: the log says so, once in ten seconds', async () => {
    await start({ maxConnections: 1 })
    const told = (): (number | undefined)[] => lines.filter(line => line.msg.startsWith('too many')).map(line => line.connections)
    await send('')
    assert.deepEqual(told(), [])
    for (let i = 0; i < 3; i += 1) await send('')
    await until(() => connections.filter(({ state }) => state !== 'open').length === 3)
    assert.deepEqual(told(), [1])
    const { now } = performance
    const later = mock.method(performance, 'now', () => now.call(performance) + 10_000)
    await send('')
    await until(() => told().length > 1, 1000).finally(() => later.mock.restore())
    assert.deepEqual(told(), [1, 1])
  })
})
