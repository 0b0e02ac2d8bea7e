import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { eventually, until } from '../../../../test/support/eventually.ts'
import type { PacedSocket } from '../../http/paced-socket.ts'
import { HttpProblem } from '../../http/problems.ts'
import { HttpServer, type HttpServerOptions } from '../../http/server.ts'
import { WebSockets } from '../../http/web-sockets.ts'
import { requireOrigin, requireWebSocket } from '../../http/websocket.ts'
import { RawConnection } from './raw-connection.ts'

const HANDSHAKE = [
  'GET /stream HTTP/1.1',
  'Host: x',
  'Connection: keep-alive, Upgrade',
  'Upgrade: WebSocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

describe('WebSockets of an HttpServer', function () {
  this.timeout(15_000)
  let server: HttpServer
  let sockets: WebSockets
  let opened: PacedSocket[]
  let isAdmitted: boolean
  let clients: WebSocket[]
  let connections: RawConnection[]

  async function start(options: Partial<HttpServerOptions> = {}, max = 10_000): Promise<void> {
    ;[opened, clients, connections, isAdmitted] = [[], [], [], true]
    sockets = new WebSockets({ max })
    sockets.start()
    const handler: RequestListener = (request, response) => {
      response.setHeader('X-Request-ID', 'r1')
      try {
        requireWebSocket(request)
        requireOrigin(request, new Set(['https://app.example']))
        sockets.requireRoom()
        const socket = sockets.open(response, { isAdmitted: () => isAdmitted, onClosed: () => undefined })
        if (socket) opened.push(socket)
      } catch (error) {
        assert.ok(error instanceof HttpProblem)
        response.writeHead(error.code === 'upgrade_required' ? 426 : 403, error.headers).end(error.code)
      }
    }
    server = new HttpServer({
      name: 'test',
      port: 0,
      host: '127.0.0.1',
      logger: pino({ level: 'silent' }),
      handler,
      hasWebSockets: true,
      ...options,
    })
    await server.start()
  }

  function connect(options: object = {}): WebSocket {
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/stream`, options)
    client.on('error', () => undefined)
    clients.push(client)
    return client
  }

  async function open(): Promise<{ client: WebSocket; socket: PacedSocket }> {
    const client = connect()
    await once(client, 'open')
    return { client, socket: opened.at(-1) as PacedSocket }
  }

  async function raw(): Promise<RawConnection> {
    const connection = await RawConnection.open(server.port)
    connections.push(connection)
    return connection
  }

  afterEach(async () => {
    for (const client of clients) client.terminate()
    for (const { socket } of connections) socket.destroy()
    sockets.stop()
    await server.stop()
  })

  it('opens one with the headers of the response, and sends texts in order', async () => {
    await start()
    const client = connect()
    const headers = once(client, 'upgrade')
    const received: string[] = []
    client.on('message', text => received.push(String(text)))
    await once(client, 'open')
    for (const text of ['1', '2', '3']) opened[0]?.send(Buffer.from(text))
    await eventually('all came', () => received.length === 3)
    const [response] = (await headers) as [{ headers: Record<string, string> }]
    assert.equal(response.headers['x-request-id'], 'r1')
    assert.deepEqual(received, ['1', '2', '3'])
  })

  it('sends at most ten messages a second', async () => {
    await start()
    const { client, socket } = await open()
    const times: number[] = []
    client.on('message', () => times.push(performance.now()))
    for (let i = 0; i < 6; i += 1) socket.send(Buffer.from('x'))
    await eventually('all came', () => times.length === 6)
    assert.ok((times[5] as number) - (times[0] as number) > 450, String(times))
  })

  it('tells the response that it has ended, with status 101', async () => {
    const ended = Promise.withResolvers<number>()
    await start({
      handler: (_request, response) => {
        response.once('close', () => ended.resolve(response.statusCode))
        sockets.open(response, { isAdmitted: () => true, onClosed: () => undefined })
      },
    })
    connect()
    assert.equal(await ended.promise, 101)
  })

  it('answers a request without upgrade headers with 426, and what is needed', async () => {
    await start()
    const response = await fetch(`http://127.0.0.1:${server.port}/stream`)
    assert.equal(response.status, 426)
    assert.equal(response.headers.get('upgrade'), 'websocket')
    assert.equal(response.headers.get('sec-websocket-version'), '13')
  })

  for (const line of HANDSHAKE.slice(2)) {
    it(`opens none without ${line}`, async () => {
      await start()
      const connection = await raw()
      connection.send(`${HANDSHAKE.filter(each => each !== line).join('\r\n')}\r\n\r\n`)
      await eventually('an answer', () => connection.received.includes('\r\n\r\n'))
      assert.match(connection.received, /^HTTP\/1.1 (426|403) /)
      assert.equal(sockets.count, 0)
    })
  }

  it('opens none by HTTP/1.0, which has no upgrades', async () => {
    await start()
    const connection = await raw()
    connection.send(`${HANDSHAKE.join('\r\n').replace('HTTP/1.1', 'HTTP/1.0')}\r\n\r\n`)
    await eventually('an answer', () => connection.received.includes('\r\n\r\n'))
    assert.doesNotMatch(connection.received, /101 Switching/)
    assert.equal(sockets.count, 0)
  })

  it('answers a request that asks for HTTP/2 as if it had not, because the client of Java always does', async () => {
    await start({ handler: (_request, response) => response.writeHead(202).end('ok') })
    const connection = await raw()
    const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk'
    for (let i = 1; i <= 2; i += 1) {
      connection.send(`POST /callback HTTP/1.1\r\nHost: x\r\n${upgrade}\r\nContent-Length: 2\r\n\r\n{}`)
      await eventually(`answer ${i}`, () => connection.received.split('202 Accepted').length === i + 1)
    }
  })

  for (const [origin, expected] of [
    ['http://x', 101],
    ['https://x', 101],
    ['http://X:80', 101],
    ['https://app.example', 101],
    ['https://evil.example', 403],
    ['http://x:81', 403],
    ['null', 403],
    ['', 403],
  ] as const) {
    it(`answers ${expected} to a page of ${origin || 'an empty origin'}`, async () => {
      await start()
      const connection = await raw()
      connection.send(`${[...HANDSHAKE, `Origin: ${origin}`].join('\r\n')}\r\n\r\n`)
      await eventually('an answer', () => connection.received.includes('\r\n\r\n'))
      assert.match(connection.received, new RegExp(`^HTTP/1.1 ${expected} `))
    })
  }

  it('closes a connection that sent a handshake before its last answer came', async () => {
    await start({ handler: () => undefined })
    const connection = await raw()
    connection.send(`GET / HTTP/1.1\r\nHost: x\r\n\r\n${HANDSHAKE.join('\r\n')}\r\n\r\n`)
    await connection.closed()
    await eventually('gone', () => server.connections === 0)
  })

  it('keeps WebSockets open when connections run out, and serves others beside them', async () => {
    await start({ maxConnections: 3 })
    const { client } = await open()
    for (let i = 0; i < 5; i += 1) await raw()
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/`, { headers: { connection: 'close' } })).status, 426)
    assert.equal(client.readyState, WebSocket.OPEN)
    client.terminate()
    await eventually('it no longer counts', () => sockets.count === 0 && server.connections <= 3)
  })

  it('closes one with 1009 that sends a large message', async () => {
    await start()
    const { client } = await open()
    client.send(Buffer.alloc(10_000_000))
    const [code] = (await once(client, 'close')) as [number]
    // The server may cut the connection off before the client has read the close.
    assert.ok(code === 1009 || code === 1006, String(code))
    await eventually('gone', () => sockets.count === 0)
  })

  it('ignores small messages, and closes one with 1008 that sends many', async () => {
    await start()
    const { client } = await open()
    for (let i = 0; i < 100; i += 1) client.send('hello')
    client.ping()
    const [code] = (await once(client, 'close')) as [number]
    assert.equal(code, 1008)
  })

  it('answers a ping', async () => {
    await start()
    const { client } = await open()
    client.ping('are you there')
    const [data] = (await once(client, 'pong')) as [Buffer]
    assert.equal(String(data), 'are you there')
  })

  it('closes one with 4401 within 2 s after its client is no longer admitted', async () => {
    await start()
    const { client } = await open()
    isAdmitted = false
    const started = performance.now()
    const [code] = (await once(client, 'close')) as [number]
    assert.equal(code, 4401)
    assert.ok(performance.now() - started < 2000)
  })

  it('closes one that reads nothing, takes at most 256 KiB for it, and delays nobody else', async () => {
    await start()
    const { client, socket } = await open()
    client.pause()
    const other = await open()
    const message = Buffer.alloc(200_000, 'x')
    const closed = once(client, 'close')
    let received = 0
    other.client.on('message', () => {
      received += 1
    })
    for (let i = 0; i < 70; i += 1) socket.send(message)
    other.socket.send(Buffer.from('y'))
    await eventually('the other got its message', () => received === 1)
    await until(() => sockets.count === 1)
    client.resume()
    await closed
  }).timeout(20_000)

  it('closes all with 1001 at the stop, at once, and opens no more', async () => {
    await start({ drainMs: 300 })
    const { client } = await open()
    const closed = once(client, 'close')
    sockets.stop()
    const late = connect()
    const refused = once(late, 'unexpected-response')
    assert.equal(((await closed) as [number])[0], 1001)
    assert.equal(((await refused) as [unknown, { statusCode: number }])[1].statusCode, 403)
  })

  it('stops within two seconds even if a client does not answer', async () => {
    await start()
    const connection = await raw()
    connection.send(`${HANDSHAKE.join('\r\n')}\r\n\r\n`)
    await eventually('open', () => sockets.count === 1)
    const started = performance.now()
    sockets.stop()
    await server.stop()
    assert.ok(performance.now() - started < 2000)
  })

  it('closes one that asked for a WebSocket, got a long answer instead and reads nothing of it', async () => {
    await start({ handler: (_request, response) => response.end(Buffer.alloc(20_000_000)) })
    const connection = await raw()
    connection.socket.pause()
    connection.send(`${HANDSHAKE.join('\r\n')}\r\n\r\n`)
    await until(() => server.connections === 1)
    await until(() => server.connections === 0, 12_000, 'the server has closed it')
  }).timeout(15_000)

  it('closes one that sends a message in many parts', async () => {
    await start()
    const connection = await raw()
    connection.send(`${HANDSHAKE.join('\r\n')}\r\n\r\n`)
    await eventually('open', () => sockets.count === 1)
    const [first, next] = [Buffer.from([0x01, 0x80, 0, 0, 0, 0]), Buffer.from([0x00, 0x80, 0, 0, 0, 0])]
    connection.socket.write(Buffer.concat([first, ...Array<Buffer>(100).fill(next)]))
    await connection.closed()
    await eventually('gone', () => sockets.count === 0)
  })

  it('reads no more from one that sends too much, while it waits for its close', async () => {
    await start()
    const connection = await raw()
    connection.send(`${HANDSHAKE.join('\r\n')}\r\n\r\n`)
    await eventually('open', () => sockets.count === 1)
    const pings = Buffer.concat(Array<Buffer>(5000).fill(Buffer.from([0x89, 0x80, 0, 0, 0, 0])))
    let sent = 0
    const flood = setInterval(() => {
      if (connection.socket.writableLength < pings.length && connection.socket.write(pings)) sent += pings.length
    }, 1)
    await connection.closed()
    clearInterval(flood)
    await eventually('gone', () => sockets.count === 0)
    assert.ok(sent < 16_000_000, `it took ${sent} bytes`)
  })

  it('opens no more than it may', async () => {
    await start({}, 1)
    await open()
    const [, response] = (await once(connect(), 'unexpected-response')) as [unknown, { statusCode: number }]
    assert.equal(response.statusCode, 403)
  })
})
