import assert from 'node:assert/strict'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { HttpServer, type HttpServerOptions } from '../../http/server.ts'
import { RawConnection } from './raw-connection.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
const CHUNKED = 'GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'

describe('a connection of an HttpServer', function () {
  this.timeout(20_000)
  let server: HttpServer
  let connections: RawConnection[]
  let handled: { request: IncomingMessage; response: ServerResponse }[]

  /** Keeps the requests and does not answer them. */
  const keep: RequestListener = (request, response) => handled.push({ request, response })

  async function start(handler: RequestListener = keep, options: Partial<HttpServerOptions> = {}): Promise<void> {
    connections = []
    handled = []
    server = new HttpServer({ name: 'test', port: 0, host: '127.0.0.1', logger: pino({ level: 'silent' }), handler, ...options })
    await server.start()
  }

  async function open(bytes = ''): Promise<RawConnection> {
    const connection = await RawConnection.open(server.port)
    connections.push(connection)
    connection.send(bytes)
    return connection
  }

  /** Opens a connection that reads nothing. */
  async function openUnread(): Promise<RawConnection> {
    const connection = await open()
    connection.socket.pause()
    connection.send(REQUEST)
    return connection
  }

  afterEach(async () => {
    for (const { socket } of connections) socket.destroy()
    // The server reads nothing, not even the end, from a connection that has sent ahead, until the first request is answered.
    for (const { request } of handled) request.socket.destroy()
    await server.stop()
  })

  describe('that sends requests ahead', () => {
    it('gets one answer at a time', async () => {
      await start()
      const connection = await open(REQUEST.repeat(3))
      for (const count of [1, 2, 3]) {
        await until(() => handled.length === count)
        // When a later request on another connection is handled, the server has read everything sent before it.
        const other = await open(REQUEST)
        await until(() => handled.length === count + 1)
        handled.pop()?.response.end()
        await other.answers(1)
        assert.equal(handled.length, count)
        handled[count - 1]?.response.writeHead(204).end()
        await connection.answers(count)
      }
    })

    it('gets all answers, in order, however much it sends ahead', async () => {
      await start((request, response) =>
        setImmediate(() =>
          response
            .setHeader('X-Path', request.url ?? '')
            .writeHead(204)
            .end(),
        ),
      )
      const padding = 'x'.repeat(1000)
      const paths = Array.from({ length: 2000 }, (_, i) => `/${i}`)
      const connection = await open(paths.map(path => `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Padding: ${padding}\r\n\r\n`).join(''))
      await connection.answers(paths.length)
      assert.deepEqual(
        [...connection.received.matchAll(/X-Path: (\S+)/g)].map(([, path]) => path),
        paths,
      )
    })

    it('gets the answers to bodies in order, also chunked ones and those sent after 100 Continue', async () => {
      const seen: string[] = []
      await start(async (request, response) => {
        seen.push(await text(request))
        setTimeout(() => response.writeHead(204).end(), 10)
      })
      const post = 'POST / HTTP/1.1\r\nHost: x\r\n'
      const connection = await open(
        `${post}Content-Length: 1\r\n\r\n1${post}Transfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n${post}Expect: 100-continue\r\nContent-Length: 1\r\n\r\n`,
      )
      await until(() => connection.received.includes('100 Continue'))
      connection.send(`3${REQUEST}`)
      await connection.answers(5)
      assert.deepEqual(seen, ['1', '2', '3', ''])
    })

    it('is closed when it sends too much ahead, and nothing more of it is handled', async () => {
      await start()
      const connection = await open(REQUEST.repeat(300))
      await connection.closed()
      assert.equal(handled.length, 1)
    })

    it('is closed when all connections together send too much ahead', async () => {
      await start()
      for (let i = 0; i < 5; i += 1) await open(REQUEST.repeat(257))
      await until(() => handled.length === 5 && server.connections === 4)
    })

    it('gets the refusal of unparsable bytes after the answers to earlier requests', async () => {
      await start()
      const connection = await open(`${REQUEST}${REQUEST}no HTTP\r\n\r\n`)
      for (const count of [1, 2]) {
        await until(() => handled.length === count)
        assert.equal(connection.received.includes('400 Bad Request'), false)
        handled[count - 1]?.response.writeHead(204).end()
      }
      await connection.closed()
      assert.match(connection.received, /^HTTP\/1\.1 204[\s\S]*HTTP\/1\.1 204[\s\S]*HTTP\/1\.1 400/)
      assert.equal(connection.state, 'ended')
    })
  })

  it('gets the body of a GET dropped as it arrives', async () => {
    await start()
    await open(`${CHUNKED}${'1\r\n \r\n'.repeat(1000)}0\r\n\r\n`)
    await until(() => handled[0]?.request.complete)
    await until(() => handled[0]?.request.readableEnded)
    assert.equal(handled[0]?.request.readableLength, 0)
  })

  describe('that does not read its answers', () => {
    const large = Buffer.alloc(40 * 1024 * 1024)
    const answerWith =
      (body: Buffer): RequestListener =>
      (request, response) => {
        keep(request, response)
        response.end(body)
      }

    it('is closed within 12 seconds, unlike one that reads slowly', async () => {
      await start(answerWith(large.subarray(0, large.length / 2)))
      await openUnread()
      const slow = await openUnread()
      const reading = setInterval(() => slow.socket.resume().once('data', () => slow.socket.pause()), 100)
      try {
        await until(() => server.connections === 1, 12_000)
        assert.equal(slow.state, 'open')
      } finally {
        clearInterval(reading)
      }
    })

    it('makes room for another', async () => {
      await start(answerWith(large.subarray(0, large.length / 2)), { maxConnections: 2 })
      await openUnread()
      await openUnread()
      await until(() => handled.length === 2)
      const third = await open()
      third.send(REQUEST)
      await until(() => third.received.length > 0)
      assert.equal(third.state, 'open')
    })

    it('is closed at once if too many bytes wait, the oldest first', async () => {
      await start(answerWith(large))
      const first = await openUnread()
      const second = await openUnread()
      await until(() => server.connections === 1, 3000)
      first.socket.resume()
      second.socket.resume()
      await until(() => second.received.length > large.length)
      assert.ok(first.received.length < large.length)
    })
  })
})
