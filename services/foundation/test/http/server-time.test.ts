import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { mock } from 'node:test'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { HttpServer, type HttpServerOptions } from '../../http/server.ts'
import { RawConnection } from './raw-connection.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

describe('the patience of an HttpServer', () => {
  let server: HttpServer
  let connections: RawConnection[]
  let handled: { request: IncomingMessage; response: ServerResponse }[]

  async function start(options: Partial<HttpServerOptions> = {}): Promise<void> {
    connections = []
    handled = []
    server = new HttpServer({
      name: 'test',
      port: 0,
      host: '127.0.0.1',
      logger: pino({ level: 'silent' }),
      handler: (request, response) => handled.push({ request, response }),
      ...options,
    })
    await server.start()
  }

  /** @returns the server's side of a connection whose request is handled */
  async function ask(): Promise<Socket> {
    const connection = await RawConnection.open(server.port)
    connections.push(connection)
    connection.send(REQUEST)
    await until(() => handled.length === connections.length)
    return (handled.at(-1) as { request: IncomingMessage }).request.socket
  }

  afterEach(async () => {
    for (const { socket } of connections) socket.destroy()
    await server.stop()
  })

  describe('with a peer that does not read', () => {
    beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }))
    afterEach(() => mock.timers.reset())

    async function askUnread(): Promise<Socket> {
      const socket = await ask()
      connections.at(-1)?.socket.pause()
      handled.at(-1)?.response.end(Buffer.alloc(20 * 1024 * 1024))
      await until(() => socket.writableLength > 0)
      return socket
    }

    it('is looked after every second, and ends when nothing was taken for 4.5 s', async () => {
      await start()
      const socket = await askUnread()
      assert.notEqual(socket.timeout, 4500)
      mock.timers.tick(1000)
      assert.equal(socket.timeout, 4500)
      socket.emit('timeout')
      assert.equal(socket.destroyed, true)
    })

    it('goes on where nothing waits for it any more', async () => {
      await start()
      const socket = await ask()
      socket.setTimeout(4500)
      socket.emit('timeout')
      assert.equal(socket.destroyed, false)
    })
  })

  it('ends with a connection that was idle for long', async () => {
    await start()
    const socket = await ask()
    handled[0]?.response.writeHead(204).end()
    await connections[0]?.answers(1)
    socket.emit('timeout')
    assert.equal(socket.destroyed, true)
  })

  it('leaves no timer behind', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
    await start()
    const before = timers()
    await server.stop()
    assert.ok(timers() <= before, `${timers() - before} more`)
  })

  it('keeps its port open while something arrives, for three seconds at most', async () => {
    await start()
    const tookMs = await closeWhileSomethingArrives()
    assert.ok(tookMs > 2900 && tookMs < 5000, `${tookMs} ms`)
  })

  it('closes its port at once while something arrives, if it also cuts off answers', async () => {
    await start({ cutsAnswers: true })
    const tookMs = await closeWhileSomethingArrives()
    assert.ok(tookMs < 1000, `${tookMs} ms`)
  })

  /** @returns the time until the port was closed */
  async function closeWhileSomethingArrives(): Promise<number> {
    const { port } = server
    const started = performance.now()
    const stop = server.stop()
    // The last one may come too late.
    const comeAndGo = async (): Promise<void> => {
      const connection = await RawConnection.open(port)
      connection.send(REQUEST)
      await new Promise(setImmediate)
      connection.socket.destroy()
    }
    while (!server.shutdown.isClosed) await comeAndGo().catch(() => undefined)
    const tookMs = performance.now() - started
    await stop
    return tookMs
  }

  it('closes its port soon where nothing arrives, but not at once', async () => {
    await start()
    connections.push(await RawConnection.open(server.port))
    connections[0]?.socket.destroy()
    await until(() => server.connections === 0)
    const started = performance.now()
    await server.stop()
    const tookMs = performance.now() - started
    assert.ok(tookMs >= 25 && tookMs < 900, `${tookMs} ms`)
  })
})
