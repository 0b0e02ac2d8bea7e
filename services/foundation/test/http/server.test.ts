import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener, ServerResponse } from 'node:http'
import net, { connect } from 'node:net'
import { mock } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { HttpServer, type HttpServerOptions } from '../../http/server.ts'
import { RawConnection } from './raw-connection.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

const answerEmpty: RequestListener = (_request, response) => response.writeHead(204).end()

describe('HttpServer', function () {
  this.timeout(10_000)
  let server: HttpServer
  let connections: RawConnection[]

  async function start(handler: RequestListener = answerEmpty, options: Partial<HttpServerOptions> = {}): Promise<void> {
    connections = []
    server = new HttpServer({ name: 'test', port: 0, host: '127.0.0.1', logger: pino({ level: 'silent' }), handler, ...options })
    await server.start()
  }

  async function open(): Promise<RawConnection> {
    const connection = await RawConnection.open(server.port)
    connections.push(connection)
    return connection
  }

  /** Starts a server that holds its answers. @returns a function that resolves with the held answer */
  async function startHolding(options: Partial<HttpServerOptions> = {}): Promise<() => Promise<ServerResponse>> {
    const held = Promise.withResolvers<ServerResponse>()
    await start((_request, response) => held.resolve(response), options)
    return () => held.promise
  }

  async function timeOf(work: Promise<unknown>): Promise<number> {
    const started = performance.now()
    await work
    return performance.now() - started
  }

  afterEach(async () => {
    for (const { socket } of connections) socket.destroy()
    await server.stop()
  })

  it('picks a free port if it is given none, and says which', async () => {
    await start()
    assert.ok(server.port > 0)
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 204)
  })

  it('says in the log when it listens, and where', async () => {
    const lines: { msg: string; server: string; port: number }[] = []
    await start(answerEmpty, { logger: pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) }) })
    const [line] = lines
    assert.deepEqual([line?.msg, line?.server, line?.port], ['listening', 'test', server.port])
  })

  it('has as many connections as come where no number is named', async () => {
    await start()
    await Promise.all(Array.from({ length: 50 }, open))
    await until(() => server.connections === 50)
  })

  it('makes room beyond its connections: closes the oldest that has sent no whole request, not who waits for an answer', async () => {
    const held = await startHolding({ maxConnections: 3 })
    const waiting = await open()
    waiting.send(REQUEST)
    const answer = await held()
    const [silent, partial] = [await open(), await open()]
    partial.send('GET / HTTP/1.1\r\n')
    const fourth = await open()
    await silent.closed()
    const fifth = await open()
    await partial.closed()
    assert.deepEqual([waiting.state, fourth.state, fifth.state, server.connections], ['open', 'open', 'open', 3])
    answer.writeHead(204).end()
    await waiting.answers(1)
  })

  it('spares an older connection that was used since', async () => {
    await start(answerEmpty, { maxConnections: 2 })
    const used = await open()
    used.send(REQUEST)
    await used.answers(1)
    const silent = await open()
    await open()
    await silent.closed()
    assert.equal(used.state, 'open')
  })

  it('closes the newest connection beyond the limit if all wait for an answer', async () => {
    const answers: ServerResponse[] = []
    await start((_request, response) => answers.push(response), { maxConnections: 2 })
    const waiting = [await open(), await open()]
    for (const connection of waiting) connection.send(REQUEST)
    await until(() => answers.length === 2)
    await (await open()).closed()
    for (const answer of answers) answer.writeHead(204).end()
    for (const connection of waiting) await connection.answers(1)
    assert.deepEqual(
      waiting.map(({ state }) => state),
      ['open', 'open'],
    )
    // An idle connection makes room again.
    const next = await open()
    next.send(REQUEST)
    await until(() => answers.length === 3)
    answers[2]?.writeHead(204).end()
    await next.answers(1)
    assert.equal(next.state, 'open')
  })

  it('takes more than one new connection in a turn of the event loop', async function () {
    if (process.platform !== 'linux') this.skip()
    await start()
    const opening = Array.from({ length: 64 }, open)
    let [most, before] = [0, 0]
    while (before < 64) {
      await nextTurn()
      most = Math.max(most, server.connections - before)
      before = server.connections
    }
    await Promise.all(opening)
    assert.ok(most > 1, `${most} in a turn`)
  })

  it('says in a sentence that its port is in use, and can still be stopped', async () => {
    await start()
    const second = new HttpServer({
      name: 'second',
      port: server.port,
      host: '127.0.0.1',
      logger: pino({ level: 'silent' }),
      handler: answerEmpty,
    })
    const message = `port ${server.port} is in use: stop the program that listens there, or choose another port`
    await assert.rejects(second.start(), (error: Error) => error.message === message && error.cause instanceof Error)
    await second.stop()
  })

  it('says in a sentence that its port needs rights', async () => {
    await start()
    const error = Object.assign(new Error('permission denied'), { code: 'EACCES' })
    const listen = mock.method(net.Server.prototype, 'listen', function (this: net.Server) {
      setImmediate(() => this.emit('error', error))
      return this
    })
    const second = new HttpServer({ name: 'second', port: 80, host: '127.0.0.1', logger: pino({ level: 'silent' }), handler: answerEmpty })
    const message = 'port 80 needs rights that this process does not have'
    await assert.rejects(second.start(), { message, cause: error }).finally(() => listen.mock.restore())
  })

  it('says in a sentence that its address is not one of this machine', async () => {
    await start()
    const second = new HttpServer({ name: 'second', port: 0, host: '192.0.2.1', logger: pino({ level: 'silent' }), handler: answerEmpty })
    await assert.rejects(
      second.start(),
      (error: Error) => /^cannot listen on 192\.0\.2\.1:0: /.test(error.message) && error.cause instanceof Error,
    )
  })

  it('closes a connection that it refused, even if the peer leaves it open', async () => {
    await start()
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }).resume()
    socket.write('no HTTP\r\n\r\n')
    await once(socket, 'end')
    await until(() => server.connections === 0)
    socket.destroy()
  })

  it('survives a peer that sends CONNECT and resets', async () => {
    await start()
    for (let i = 0; i < 5; i += 1) {
      const connection = await open()
      connection.send('CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(connection.socket, 'data')
      connection.socket.resetAndDestroy()
    }
    // An error event without a listener would have failed this test by now.
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 204)
  })

  describe('stop', () => {
    it('waits for the answer to a request under way', async () => {
      const held = await startHolding()
      const answer = fetch(`http://127.0.0.1:${server.port}/`)
      const response = await held()
      let isStopped = false
      const stop = server.stop().then(() => {
        isStopped = true
      })
      await until(() => server.shutdown.isClosed)
      assert.equal(isStopped, false)
      response.writeHead(200).end('late')
      const tookMs = await timeOf(stop)
      assert.equal(await (await answer).text(), 'late')
      assert.ok(tookMs < 700, `the connection was kept alive for ${tookMs} ms`)
    })

    it('waits for it as long as it takes', async () => {
      const held = await startHolding()
      const answer = fetch(`http://127.0.0.1:${server.port}/`)
      const response = await held()
      setTimeout(() => response.writeHead(204).end(), 1500)
      const tookMs = await timeOf(server.stop())
      assert.equal((await answer).status, 204)
      assert.ok(tookMs > 1400, `${tookMs} ms`)
    })

    it('waits one second for it with cutsAnswers', async () => {
      const held = await startHolding({ cutsAnswers: true })
      const answer = assert.rejects(fetch(`http://127.0.0.1:${server.port}/`))
      await held()
      const tookMs = await timeOf(server.stop())
      await answer
      assert.ok(tookMs > 900 && tookMs < 2000, `${tookMs} ms`)
    })

    it('closes a kept-alive connection with its next answer while it drains', async () => {
      await start(answerEmpty, { drainMs: 600 })
      const connection = await open()
      connection.send(REQUEST)
      await connection.answers(1)
      assert.match(connection.received, /Connection: keep-alive/)
      const stop = server.stop()
      assert.deepEqual([server.shutdown.isDraining, server.shutdown.isClosed], [true, false])
      connection.send(REQUEST)
      await connection.closed()
      assert.match(connection.received.split('\r\n\r\n')[1] ?? '', /^HTTP\/1\.1 204[\s\S]*Connection: close/)
      assert.equal(connection.state, 'ended')
      assert.equal(server.shutdown.isClosed, false)
      await stop
    })

    it('accepts new connections while it drains, even after a quiet time, and none afterwards', async () => {
      await start(answerEmpty, { drainMs: 600 })
      const { port } = server
      const stop = server.stop()
      // Half of the drain has passed. Without a drain, the port would have closed after a quiet moment.
      await sleep(300)
      assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 204)
      await stop
      const [error] = (await once(connect(port, '127.0.0.1'), 'error')) as [NodeJS.ErrnoException]
      assert.equal(error.code, 'ECONNREFUSED')
    })

    it('answers every request that was sent before it, on new connections and kept ones', async () => {
      await start(answerEmpty, { drainMs: 100 })
      const kept = await Promise.all(Array.from({ length: 50 }, open))
      for (const connection of kept) connection.send(REQUEST)
      await Promise.all(kept.map(connection => connection.answers(1)))
      const fresh = await Promise.all(Array.from({ length: 50 }, open))
      for (const connection of [...kept, ...fresh]) connection.send(REQUEST)
      await server.stop()
      await Promise.all([...kept, ...fresh].map(connection => connection.closed()))
      const outcome = (connection: RawConnection): string =>
        `${connection.received.match(/HTTP\/1\.1 204/g)?.length} answers, ${connection.state}`
      assert.deepEqual(new Set(kept.map(outcome)), new Set(['2 answers, ended']))
      assert.deepEqual(new Set(fresh.map(outcome)), new Set(['1 answers, ended']))
    })

    it('answers every request that was sent before it, on new connections that wait for more than a second', async () => {
      await start((request, response) => {
        for (const until = performance.now() + 30; performance.now() < until; );
        answerEmpty(request, response)
      })
      const waiting = await Promise.all(Array.from({ length: 60 }, open))
      for (const connection of waiting) connection.send(REQUEST)
      await server.stop()
      await Promise.all(waiting.map(connection => connection.closed()))
      assert.deepEqual(
        new Set(waiting.map(({ received, state }) => `${received.slice(0, 12)}, ${state}`)),
        new Set(['HTTP/1.1 204, ended']),
      )
    })

    it('answers a request that arrives whole within a second after the port closed', async () => {
      await start()
      const connection = await open()
      connection.send('GET / HTTP/1.1\r\n')
      await until(() => connection.socket.bytesWritten > 0)
      const stop = server.stop()
      await until(() => server.shutdown.isClosed)
      connection.send('Host: x\r\n\r\n')
      await stop
      await connection.closed()
      assert.match(connection.received, /^HTTP\/1\.1 204[\s\S]*Connection: close/)
    })

    it('does not wait long for connections that never send a whole request', async () => {
      await start((request, response) => request.once('end', () => answerEmpty(request, response)).resume())
      const beginnings = ['', 'POST / HTTP/1.1\r\nHost: x\r\n', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf']
      for (const bytes of beginnings) (await open()).send(bytes)
      const kept = await open()
      kept.send(REQUEST)
      await kept.answers(1)
      kept.send('GET / HTTP/1.1\r\n')
      const tookMs = await timeOf(server.stop())
      assert.ok(tookMs < 2500, `${tookMs} ms`)
      await Promise.all(connections.map(connection => connection.closed()))
    })

    it('does nothing before a start', async () => {
      await start()
      const other = new HttpServer({ name: 'other', port: 0, host: '127.0.0.1', logger: pino({ level: 'silent' }), handler: answerEmpty })
      await other.stop()
      assert.equal(other.shutdown.isDraining, false)
    })
  })
})
