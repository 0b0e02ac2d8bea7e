import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { mock } from 'node:test'
import { carrierOf, context, contextFromCarrier, inSpan, type Span } from '#foundation/telemetry/spans.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { ZipkinCollector, type ZipkinSpan } from '../../../../test/support/zipkin-collector.ts'
import { logger } from '../../../callback-service/test/workers/silent-logger.ts'
import { ObjectClient } from '../../client/object-client.ts'
import type { FetchError } from '../../fetched-object.ts'

describe('ObjectClient', () => {
  const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 1, logger })
  let server: Server
  let client: ObjectClient
  const asked: string[] = []

  async function serve(
    handler: RequestListener,
    { timeoutMs = 2000, keepAliveMs = 10_000, maxBaggageBytes = 4096, path = '' } = {},
  ): Promise<void> {
    server = createServer((request, response) => {
      asked.push(request.url ?? '')
      handler(request, response)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    client = new ObjectClient({ url: `http://127.0.0.1:${port}${path}`, timeoutMs: () => timeoutMs, keepAliveMs, maxBaggageBytes })
  }

  async function failure(id = 7n): Promise<FetchError> {
    return client.fetch(id).then(
      () => assert.fail('expected the fetch to fail'),
      (error: FetchError) => error,
    )
  }

  afterEach(async () => {
    asked.length = 0
    await client.stop()
    server.closeAllConnections()
    server.close()
  })

  it('asks for the object and says whether it is online', async () => {
    await serve((_request, response) => response.end('{"id":7,"online":true}'))
    assert.equal((await client.fetch(7n))?.online, true)
    assert.deepEqual(asked, ['/objects/7'])
  })

  for (const path of ['/api', '/api/', '/api//']) {
    it(`asks below the path of its URL: ${path}`, async () => {
      await serve((_request, response) => response.end('{"id":7,"online":true}'), { path })
      await client.fetch(7n)
      assert.deepEqual(asked, ['/api/objects/7'])
    })
  }

  for (const hint of ['without a hint of the client service', 'though the client service would keep them for longer']) {
    it(`closes connections that were idle for keepAliveMs, ${hint}`, async () => {
      await serve((_request, response) => response.end('{"id":7,"online":true}'), { keepAliveMs: 50 })
      server.keepAliveTimeout = hint.startsWith('without') ? 0 : 60_000
      const connected = once(server, 'connection')
      await client.fetch(7n)
      const [socket] = (await connected) as [Socket]
      if (!socket.destroyed) await once(socket, 'close')
    })
  }

  it('compares ids beyond 2^53 digit by digit', async () => {
    await serve((request, response) =>
      response.end(`{"id":${request.url === '/objects/9007199254740993' ? '9007199254740993' : '9007199254740992'},"online":true}`),
    )
    assert.equal((await client.fetch(9007199254740993n))?.online, true)
    assert.equal((await failure(9007199254740991n)).reason, 'invalid_answer')
    assert.equal((await failure(9007199254740994n)).reason, 'invalid_answer')
  })

  for (const nested of ['"x":{"id":9007199254740999}', '"x":[{"id":1}]']) {
    it(`reads the id of the answer itself, also beyond 2^53, and not that of ${nested}`, async () => {
      await serve((_request, response) => response.end(`{"id":9007199254740993,"online":true,${nested}}`))
      assert.equal((await client.fetch(9007199254740993n))?.online, true)
    })
  }

  it('refuses an answer that is nested too deep to be parsed', async () => {
    const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
    await serve((_request, response) => response.end(`{"id":9007199254740993,"online":true,"x":${deep}}`))
    assert.equal((await failure(9007199254740993n)).reason, 'invalid_answer')
  })

  it('returns undefined for a 404', async () => {
    await serve((_request, response) => response.writeHead(404).end())
    assert.equal(await client.fetch(7n), undefined)
  })

  const answers: [string, RequestListener, { reason: string; isRetryable: boolean; isHostTrouble: boolean }][] = [
    ['another 4xx is final', (_q, s) => s.writeHead(403).end(), { reason: 'http_403', isRetryable: false, isHostTrouble: false }],
    ['a 500 is worth another try', (_q, s) => s.writeHead(500).end(), { reason: 'http_500', isRetryable: true, isHostTrouble: true }],
    [
      'a 429 is worth another try, and no trouble of the host',
      (_q, s) => s.writeHead(429).end(),
      { reason: 'http_429', isRetryable: true, isHostTrouble: false },
    ],
    [
      'a 408 is worth another try, and no trouble of the host',
      (_q, s) => s.writeHead(408).end(),
      { reason: 'http_408', isRetryable: true, isHostTrouble: false },
    ],
    [
      'a 425 is worth another try, and no trouble of the host',
      (_q, s) => s.writeHead(425).end(),
      { reason: 'http_425', isRetryable: true, isHostTrouble: false },
    ],
    [
      'a redirect is not followed',
      (_q, s) => s.writeHead(302, { location: '/elsewhere' }).end(),
      { reason: 'http_302', isRetryable: false, isHostTrouble: false },
    ],
    [
      'a redirect to a refused address is not followed either',
      (_q, s) => s.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
      { reason: 'http_307', isRetryable: false, isHostTrouble: false },
    ],
    ['no JSON is garbage', (_q, s) => s.end('<html>'), { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true }],
    ['null is garbage', (_q, s) => s.end('null'), { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true }],
    [
      'another id is garbage',
      (_q, s) => s.end('{"id":8,"online":true}'),
      { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true },
    ],
    [
      'an id as a string is garbage',
      (_q, s) => s.end('{"id":"7","online":true}'),
      { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true },
    ],
    [
      'online as a string is garbage',
      (_q, s) => s.end('{"id":7,"online":"yes"}'),
      { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true },
    ],
    [
      'an encoded answer is garbage',
      (_q, s) => s.writeHead(200, { 'content-encoding': 'gzip' }).end('{"id":7,"online":true}'),
      { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true },
    ],
    [
      'an answer over 64 KiB is garbage',
      (_q, s) => s.end(`{"id":7,"online":true,"x":"${'x'.repeat(70_000)}"}`),
      { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true },
    ],
    ['a reset is worth another try', q => q.socket.destroy(), { reason: 'connection', isRetryable: true, isHostTrouble: true }],
  ]
  for (const [fact, handler, expected] of answers) {
    it(fact, async () => {
      await serve(handler)
      const { reason, isRetryable, isHostTrouble } = await failure()
      assert.deepEqual({ reason, isRetryable, isHostTrouble }, expected)
      assert.deepEqual(asked, ['/objects/7'])
    })
  }

  it('gives up on an answer that never comes: that is worth another try, and trouble of the host', async () => {
    await serve(() => undefined, { timeoutMs: 50 })
    const connected = once(server, 'connection')
    const { reason, isRetryable, isHostTrouble } = await failure()
    assert.deepEqual({ reason, isRetryable, isHostTrouble }, { reason: 'timeout', isRetryable: true, isHostTrouble: true })
    const [socket] = (await connected) as [Socket]
    if (!socket.destroyed) await once(socket, 'close')
  })

  it('gives up on a connection that is never ready', async () => {
    await serve(() => undefined)
    await client.stop()
    // It takes connections, and says nothing that TLS would need.
    const silent = createNetServer(socket => socket.unref()).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    client = new ObjectClient({ url: `https://127.0.0.1:${port}`, timeoutMs: () => 50, keepAliveMs: 1000, maxBaggageBytes: 0 })
    const started = performance.now()
    assert.equal((await failure()).reason, 'timeout')
    assert.ok(performance.now() - started < 5000)
    silent.close()
  })

  it('says what ended a connection', async () => {
    await serve(request => request.socket.destroy())
    assert.ok((await failure()).cause instanceof Error)
  })

  it('gives up on an answer that arrives too slowly, however steadily', async () => {
    await serve(
      (_request, response) => {
        const drip = setInterval(() => response.write(' '), 10)
        response.once('close', () => clearInterval(drip))
      },
      { timeoutMs: 100 },
    )
    assert.equal((await failure()).reason, 'timeout')
  })

  it('reads an answer that comes in many pieces', async () => {
    const answer = `{"id":7,"online":true,"x":"${'\u00e9'.repeat(300)}"}`
    await serve((request, response) => {
      request.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      for (const byte of Buffer.from(answer)) request.socket.write(Buffer.from([0x31, 13, 10, byte, 13, 10]))
      request.socket.write('0\r\n\r\n')
      response.detachSocket(request.socket)
    })
    assert.equal((await client.fetch(7n))?.online, true)
  })

  for (const [pieces, isTaken] of [
    [1024, true],
    [1025, false],
  ] as const) {
    it(`${isTaken ? 'takes' : 'gives up on'} an answer in ${pieces} pieces`, async () => {
      const answer = '{"id":7,"online":true}'
      const ones = '1\r\n \r\n'.repeat(pieces - 1)
      await serve((request, response) => {
        const rest = `${answer.length.toString(16)}\r\n${answer}\r\n0\r\n\r\n`
        request.socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${ones}${rest}`)
        response.detachSocket(request.socket)
      })
      const outcome = await client.fetch(7n).then(
        answer => answer?.online,
        (error: FetchError) => error.reason,
      )
      assert.equal(outcome, isTaken ? true : 'invalid_answer')
    })
  }

  it('takes an answer of 64 KiB', async () => {
    const [before, after] = ['{"id":7,"online":true,"x":"', '"}']
    await serve((_request, response) => response.end(before.padEnd(65_536 - after.length, 'x') + after))
    assert.equal((await client.fetch(7n))?.online, true)
  })

  describe('keeps an answer', () => {
    const answer = `{"id":7,"online":true,"x":"${'y'.repeat(300)}"}`

    /** The sizes of the buffers that were made for the answer. */
    async function buffersFor(handler: RequestListener): Promise<number[]> {
      await serve(handler)
      const allocate = mock.method(Buffer, 'allocUnsafe')
      try {
        await client.fetch(7n)
        return allocate.mock.calls.map(call => call.arguments[0])
      } finally {
        allocate.mock.restore()
      }
    }

    it('that comes whole in one buffer of its size', async () => {
      assert.deepEqual(await buffersFor((_request, response) => response.end(answer)), [answer.length])
    })

    it('that comes in pieces in a few buffers, at most twice as large', async () => {
      const sizes = await buffersFor((request, response) => {
        const pieces = [...answer].map(character => `1\r\n${character}\r\n`).join('')
        request.socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}0\r\n\r\n`)
        response.detachSocket(request.socket)
      })
      assert.ok(sizes.length < 20 && Math.max(...sizes) <= 2 * answer.length, sizes.join())
    })
  })

  it('gives up on an answer whose pieces of one byte cost more than the answer', async () => {
    await serve(request => {
      request.socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(5000)}`)
    })
    assert.equal((await failure()).reason, 'invalid_answer')
  })

  it('accepts a few informational answers before the final one, and gives up on more', async () => {
    const early = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n'
    let count = 8
    await serve((request, response) => {
      request.socket.write(early.repeat(count))
      if (count === 8) response.end('{"id":7,"online":true}')
    })
    assert.equal((await client.fetch(7n))?.online, true)
    count = 9
    const { reason, isRetryable, isHostTrouble } = await failure()
    assert.deepEqual({ reason, isRetryable, isHostTrouble }, { reason: 'invalid_answer', isRetryable: true, isHostTrouble: true })
  })

  describe('with baggage', () => {
    /** Returns the part of the baggage that reaches the client service if at most 20 bytes are passed on. */
    async function passedOn(baggage: string): Promise<string | undefined> {
      let passed: string | undefined
      await serve(
        (request, response) => {
          passed = request.headers['baggage'] as string | undefined
          response.end('{"id":7,"online":true}')
        },
        { maxBaggageBytes: 20 },
      )
      await context.with(contextFromCarrier({ ...carrierOf(context.active()), baggage }), () => client.fetch(7n))
      return passed
    }

    beforeEach(() => telemetry.start())
    afterEach(() => telemetry.stop())

    for (const [fact, baggage, expected] of [
      ['passes all of it on where it fits', 'a=1,b=2;p=\u00e9,c=45678', 'a=1,b=2;p=\u00e9,c=45678'],
      ['passes the members on that fit, each whole', 'a=1,b=2;p=3,c=4567890', 'a=1,b=2;p=3'],
      ['passes members on that fill the bound', 'a=1,b=2;p=3,c=456789,d=0', 'a=1,b=2;p=3,c=456789'],
      ['passes a list on that is as long as the bound', 'a=1,b=2;p=3,c=456789', 'a=1,b=2;p=3,c=456789'],
      ['passes nothing on where only an empty member would fit', `,a=${'1'.repeat(30)}`, undefined],
      ['passes none on where the first member does not fit', `a=${'1'.repeat(30)},b=2`, undefined],
    ] as const) {
      it(fact, async () => assert.equal(await passedOn(baggage), expected))
    }
  })

  describe('in a trace that is recorded', () => {
    /** The spans that `work` leaves in a trace of its own, and that trace's span. */
    async function spansOf(work: () => Promise<unknown>): Promise<{ spans: ZipkinSpan[]; parent: Span }> {
      const collector = new ZipkinCollector()
      await collector.start()
      const traced = new Telemetry({ serviceName: 'test', zipkinUrl: collector.url, sampleRatio: 1, logger })
      traced.start()
      await traced.sending.start()
      const parent = await inSpan('process callback', {}, async span => {
        await work()
        return span
      })
      await traced.stop()
      collector.stop()
      return { spans: collector.spans.filter(({ name }) => name !== 'process callback'), parent }
    }

    it('has a span that says whom it asked, for what, and what the answer was', async () => {
      await serve((_request, response) => response.end('{"id":7,"online":true}'), { path: '/api' })
      const { spans, parent } = await spansOf(() => client.fetch(7n))
      const { port } = server.address() as AddressInfo
      const [span] = spans
      assert.deepEqual([spans.length, span?.name, span?.kind, span?.parentId], [1, 'fetch object', 'CLIENT', parent.spanContext().spanId])
      assert.deepEqual(span?.tags, {
        'http.request.method': 'GET',
        'url.full': `http://127.0.0.1:${port}/api/objects/7`,
        'server.address': '127.0.0.1',
        'server.port': String(port),
        'answerback.object.id': '7',
        'http.response.status_code': '200',
        'service.name': 'test',
      })
    })

    for (const [url, serverPort] of [
      ['http://169.254.0.1', '80'],
      ['https://169.254.0.1', '443'],
      ['https://169.254.0.1:8443', '8443'],
    ] as const) {
      it(`has a span with the port of its URL: ${serverPort} of ${url}`, async () => {
        await serve(() => undefined)
        await client.stop()
        // A refused address: the span is made, no request is sent.
        client = new ObjectClient({ url, timeoutMs: () => 50, keepAliveMs: 1000, maxBaggageBytes: 0 })
        const { spans } = await spansOf(() => failure())
        assert.equal(spans[0]?.tags['server.port'], serverPort)
      })
    }

    it('passes that span on', async () => {
      let passed: string | undefined
      await serve((request, response) => {
        passed = request.headers['traceparent'] as string
        response.end('{"id":7,"online":true}')
      })
      const { spans } = await spansOf(() => client.fetch(7n))
      assert.deepEqual([spans.length, passed?.split('-')[2]], [1, spans[0]?.id])
    })

    it('has a span that says why it failed', async () => {
      await serve((_request, response) => response.writeHead(403).end())
      const { spans } = await spansOf(() => failure())
      const { error, 'http.response.status_code': status } = spans[0]?.tags ?? {}
      assert.deepEqual([error, status], ['fetch failed: http_403', '403'])
    })

    it('says how much of the baggage was dropped, and nothing where all of it fits', async () => {
      await serve((_request, response) => response.end('{"id":7,"online":true}'), { maxBaggageBytes: 20 })
      const dropped = async (baggage: string): Promise<string | undefined> => {
        const fetch = () => context.with(contextFromCarrier({ ...carrierOf(context.active()), baggage }), () => client.fetch(7n))
        return (await spansOf(fetch)).spans[0]?.tags['answerback.baggage.dropped_bytes']
      }
      assert.deepEqual([await dropped('a=1,b=2;p=3,c=4567890'), await dropped('a=1')], ['10', undefined])
    })

    it('shows that another fetch served it: since when it waited, for what, and a link to that fetch', async () => {
      await serve((_request, response) => response.end('{"id":7,"online":true}'))
      const sinceMs = performance.now() - 500
      const { spans } = await spansOf(async () => {
        const found = await client.fetch(7n)
        client.shared(7n, found, sinceMs)
        client.shared(8n, undefined, sinceMs)
      })
      const [fetched, first, second] = spans
      assert.deepEqual([first?.name, first?.tags['answerback.object.id'], second?.name], ['share fetch', '7', 'share fetch'])
      assert.deepEqual([first?.tags['link.0'], second?.tags['link.0']], [`${fetched?.traceId}/${fetched?.id}`, undefined])
      const { timestamp = 0, duration = 0 } = first ?? {}
      assert.ok(Math.abs(timestamp / 1000 - (performance.timeOrigin + sinceMs)) < 100, `${timestamp}`)
      assert.ok(duration > 400_000, `${duration} µs`)
    })

    it('leaves no span in a trace that is not recorded', async () => {
      await serve((_request, response) => response.end('{"id":7,"online":true}'))
      const unsampled = contextFromCarrier({ traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` })
      const { spans } = await spansOf(() =>
        context.with(unsampled, async () => {
          client.shared(7n, await client.fetch(7n), 0)
        }),
      )
      assert.deepEqual(spans, [])
    })
  })

  it('gives up on an endless answer without keeping it', async () => {
    await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
      }
      response.on('drain', more)
      more()
    })
    assert.equal((await failure()).reason, 'invalid_answer')
  })

  for (const status of [408, 425, 429, 503]) {
    it(`passes on the Retry-After of a ${status}`, async () => {
      await serve((_request, response) => response.writeHead(status, { 'retry-after': '7' }).end())
      assert.equal((await failure()).retryAfterMs, 7000)
    })
  }

  it('does not send a request whose deadline passed before it had a connection', async () => {
    await serve((_request, response) => response.end('{"id":8,"online":true}'), { timeoutMs: 20 })
    const connected = once(server, 'connection')
    const pending = failure(7n)
    const busyUntil = performance.now() + 30
    while (performance.now() < busyUntil);
    assert.equal((await pending).reason, 'timeout')
    await connected
    await client.fetch(8n)
    assert.deepEqual(asked, ['/objects/8'])
  })

  for (const [what, handler] of [
    ['an answer', (_request, response) => response.end('{"id":7,"online":true}')],
    ['a reset', request => request.socket.destroy()],
  ] as [string, RequestListener][]) {
    it(`leaves no timer behind after ${what}`, async () => {
      const timers = (): number => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
      await serve(handler, { timeoutMs: 60_000 })
      const before = timers()
      for (let i = 0; i < 20; i += 1) await client.fetch(7n).catch(() => undefined)
      assert.ok(timers() < before + 10, `${timers() - before} more`)
    })
  }

  it('fails with the reason connection when nothing listens', async () => {
    await serve(() => undefined)
    await new Promise(resolve => server.close(resolve))
    assert.equal((await failure()).reason, 'connection')
  })

  it('ends requests under way when it stops', async () => {
    await serve(() => undefined)
    const pending = failure()
    await once(server, 'request')
    await client.stop()
    assert.equal((await pending).reason, 'connection')
  })
})
