import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { mock } from 'node:test'
import { pino } from 'pino'
import { refuseRequest, refuseUnparsable, stopParsing, writeProblem } from '../../http/refusals.ts'
import { refusedWith } from '../../http/refused-connections.ts'
import { Telemetry } from '../../telemetry/tracing.ts'

/** The server's side of a connection whose peer stays silent, unless the test speaks for it. */
class TestSocket extends Duplex {
  written = ''

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk
    done()
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.written)?.[1] ?? 0)
  }
}

/** A socket that was not ended by us, and takes no bytes all the same. */
function unwritable(): TestSocket {
  return Object.defineProperty(new TestSocket(), 'writable', { value: false })
}

const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 1, logger: pino({ level: 'silent' }) })

const LATE = { code: 'ERR_HTTP_REQUEST_TIMEOUT' }

describe('a connection that is refused', () => {
  let told: string[]

  before(() => telemetry.start())
  after(() => telemetry.stop())

  const refuse = (socket: Duplex, error: { code?: string }): void =>
    refuseUnparsable(Object.assign(new Error('refused'), error), socket, code => told.push(code))

  beforeEach(() => {
    told = []
    mock.timers.enable({ apis: ['setTimeout'] })
  })

  afterEach(() => {
    // What was not refused yet must not be left to the next test.
    for (let i = 0; i < 1000; i += 1) mock.timers.tick(5)
    mock.timers.reset()
  })

  for (const [what, error, status, code] of [
    ['what is not HTTP', { code: 'HPE_INVALID_METHOD' }, 400, 'bad_request'],
    ['what is wrong without a code', {}, 400, 'bad_request'],
    ['headers that are too large', { code: 'HPE_HEADER_OVERFLOW' }, 431, 'headers_too_large'],
  ] as const) {
    it(`is answered ${status} for ${what}: a whole answer, which is told of, and known to whoever handles its request`, () => {
      const socket = new TestSocket()
      refuse(socket, error)
      const [head = '', body = ''] = socket.written.split('\r\n\r\n')
      const problem = JSON.parse(body) as Record<string, unknown>
      assert.deepEqual([socket.status, problem['status'], problem['code']], [status, status, code])
      for (const header of [`Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', `X-Request-ID: ${problem['request_id']}`])
        assert.ok(head.includes(`\r\n${header}`), header)
      assert.doesNotMatch(head, /Allow/)
      assert.deepEqual([told, refusedWith.get(socket), socket.writableEnded], [[code], code, true])
    })
  }

  for (const [what, socket, error] of [
    ['was reset', new TestSocket(), { code: 'ECONNRESET' }],
    ['takes no answer', unwritable(), {}],
  ] as const) {
    it(`is closed without an answer when it ${what}, and nobody is told`, () => {
      refuse(socket, error)
      assert.deepEqual([socket.destroyed, socket.written, told], [true, '', []])
    })
  }

  it('is left to end where its answer is complete', () => {
    const socket = new TestSocket().end('HTTP/1.1 200 OK\r\n\r\n') as TestSocket
    refuse(socket, { code: 'ECONNRESET' })
    assert.deepEqual([socket.destroyed, socket.status, told], [false, 200, []])
  })

  it('is read from for half a second, so that the peer gets to read the answer, then closed', () => {
    const socket = new TestSocket()
    refuse(socket, {})
    assert.equal(socket.readableFlowing, true)
    mock.timers.tick(499)
    assert.equal(socket.destroyed, false)
    mock.timers.tick(1)
    assert.equal(socket.destroyed, true)
  })

  it('is closed when its peer resets it', () => {
    const socket = new TestSocket()
    refuse(socket, {})
    socket.emit('error', new Error('reset'))
    assert.equal(socket.destroyed, true)
  })

  it('says which methods are allowed where the method is not', () => {
    const socket = new TestSocket()
    writeProblem(socket, 'method_not_allowed', 'CONNECT is not served.', { 'x-request-id': 'r1' })
    assert.equal(socket.status, 405)
    for (const header of ['X-Request-ID: r1', 'Allow: ']) assert.ok(socket.written.includes(`\r\n${header}\r\n`), header)
  })

  describe('because it took too long', () => {
    it('is not parsed any more from that moment, and known to whoever handles its request', async () => {
      const socket = new TestSocket()
      const parsed: unknown[] = []
      socket.on('data', chunk => parsed.push(chunk)).pause()
      refuse(socket, LATE)
      socket.push('the rest')
      await new Promise(setImmediate)
      assert.deepEqual([parsed, socket.readableLength], [[], 0])
      assert.deepEqual([refusedWith.get(socket), socket.written, told], ['request_timeout', '', []])
    })

    for (const [count, atOnce] of [
      [25, 10],
      [4000, 20],
    ] as const) {
      it(`is answered 408 in its turn: of ${count} at first ${atOnce}, the next ones 5 ms later`, () => {
        const sockets = Array.from({ length: count }, () => new TestSocket())
        for (const socket of sockets) refuse(socket, LATE)
        const answered = (): number => sockets.findLastIndex(socket => socket.status === 408) + 1
        mock.timers.tick(4)
        assert.equal(answered(), 0)
        mock.timers.tick(1)
        assert.deepEqual([answered(), told.length, told[0]], [atOnce, atOnce, 'request_timeout'])
        mock.timers.tick(5)
        assert.ok(answered() > atOnce && answered() <= 2 * atOnce, `${answered()} answered`)
        for (let i = 0; i < 1000; i += 1) mock.timers.tick(5)
        assert.deepEqual([answered(), told.length], [count, count])
      })
    }

    it('leaves nothing to do when it was answered', () => {
      refuse(new TestSocket(), LATE)
      mock.timers.tick(5)
      const waits = mock.method(globalThis, 'setTimeout')
      for (let i = 0; i < 10; i += 1) mock.timers.tick(5)
      assert.equal(waits.mock.callCount(), 0)
      waits.mock.restore()
    })

    it('is closed without an answer where it takes none by then, and nobody is told; the others get theirs', () => {
      const [gone, other] = [new TestSocket(), new TestSocket()]
      for (const socket of [gone, other]) refuse(socket, LATE)
      Object.defineProperty(gone, 'writable', { value: false })
      mock.timers.tick(5)
      assert.deepEqual([gone.destroyed, gone.written, other.status, told], [true, '', 408, ['request_timeout']])
    })
  })

  it('is let go by a parser that reads past the stream', () => {
    const socket = new TestSocket()
    const wanted: unknown[] = []
    // Node's parser watches who listens.
    socket.on('newListener', event => wanted.push(event))
    stopParsing(socket)
    assert.deepEqual([wanted.includes('data'), socket.listenerCount('data')], [true, 0])
  })
})

describe('a request that is refused', () => {
  before(() => telemetry.start())
  after(() => telemetry.stop())

  it('is answered with its ids, and its connection is closed', () => {
    const answer: unknown[] = []
    const response = {
      writeHead: (...head: unknown[]) => {
        answer.push(...head)
        return response
      },
      end: (body: string) => answer.push(body),
    }
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
    const request = { headers: { 'x-request-id': 'r1', traceparent } } as unknown as IncomingMessage
    refuseRequest(request, response as unknown as ServerResponse, 'expectation_failed', 'Only Expect: 100-continue is understood.')
    const [status, headers, body] = answer as [number, Record<string, unknown>, string]
    assert.deepEqual([status, headers['X-Request-ID'], headers['Connection'], 'Allow' in headers], [417, 'r1', 'close', false])
    assert.equal((JSON.parse(body) as { request_id: string }).request_id, 'r1')
  })
})
