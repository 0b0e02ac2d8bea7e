import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Link, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace'
import { pino } from 'pino'
import { zipkinExporter } from '../../telemetry/exporters.ts'
import { OutageGuard, type OutageGuardOptions } from '../../telemetry/outage-guard.ts'

describe('spans sent to Zipkin', () => {
  let server: Server
  let exporter: OutageGuard
  let received: { request: IncomingMessage; body: string }[]
  let logged: { level: number; msg: string; reason?: string }[]
  let answer: (response: ServerResponse) => void

  beforeEach(async () => {
    received = []
    logged = []
    answer = response => response.writeHead(202).end()
    server = createServer(async (request, response) => {
      received.push({ request, body: await text(request) })
      answer(response)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
  })

  afterEach(() => stopServer())

  async function stopServer(): Promise<void> {
    if (!server.listening) return
    server.closeAllConnections()
    await once(server.close(), 'close')
  }

  function setup(options: Partial<OutageGuardOptions> = {}): void {
    exporter = new OutageGuard({
      exporter: zipkinExporter(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2/spans`),
      collector: { exporter: 'zipkin' },
      logger: pino({ level: 'debug', base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) }),
      ...options,
    })
  }

  /** Sends one batch. @returns when it is done with */
  function send(...spans: ReadableSpan[]): Promise<unknown> {
    return new Promise(resolve => exporter.export(spans, resolve))
  }

  async function sent(...spans: ReadableSpan[]): Promise<Record<string, unknown>[]> {
    await send(...spans)
    return JSON.parse(received.at(-1)?.body ?? '[]')
  }

  describe('writes JSON v2:', () => {
    it('a POST to the URL it was given', async () => {
      setup()
      await send(span())
      const { method, url, headers } = received[0]?.request ?? assert.fail('nothing came')
      assert.deepEqual([method, url, headers['content-type']], ['POST', '/api/v2/spans', 'application/json'])
    })

    it('a span with hexadecimal ids, microseconds, its kind, its service and its tags as strings', async () => {
      setup()
      const parentSpanContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
      const spanContext = () => ({ ...parentSpanContext, spanId: '00f067aa0ba902b7' })
      const [written] = await sent(
        span({
          spanContext,
          parentSpanContext,
          name: 'POST /callback',
          kind: SpanKind.SERVER,
          startTime: [1_700_000_000, 123_456_000],
          duration: [2, 5_000_000],
          attributes: { 'http.request.method': 'POST', 'http.response.status_code': 202, cached: false, ids: ['1', '2'] },
          events: [{ name: 'committed', time: [1_700_000_001, 0] }],
        }),
      )
      assert.deepEqual(written, {
        traceId: '0af7651916cd43dd8448eb211c80319c',
        id: '00f067aa0ba902b7',
        parentId: 'b7ad6b7169203331',
        name: 'POST /callback',
        kind: 'SERVER',
        timestamp: 1_700_000_000_123_456,
        duration: 2_005_000,
        localEndpoint: { serviceName: 'test-service' },
        tags: {
          'http.request.method': 'POST',
          'http.response.status_code': '202',
          cached: 'false',
          ids: '1,2',
          'service.name': 'test-service',
        },
        annotations: [{ timestamp: 1_700_000_001_000_000, value: 'committed' }],
      })
    })

    it('neither parent nor kind where there is none', async () => {
      setup()
      const [written] = await sent(span({ kind: SpanKind.INTERNAL }))
      assert.deepEqual([written?.['parentId'], written?.['kind']], [undefined, undefined])
    })

    it('whole microseconds only, and at least one: Zipkin refuses a batch with a fraction in it', async () => {
      setup()
      const event = { name: 'e', time: [1_700_000_000, 1_999] as [number, number] }
      const [written] = await sent(span({ startTime: [1_700_000_000, 1_200], duration: [0, 10], events: [event] }))
      assert.deepEqual([written?.['timestamp'], written?.['duration']], [1_700_000_000_000_001, 1])
      assert.deepEqual(written?.['annotations'], [{ timestamp: 1_700_000_000_000_002, value: 'e' }])
    })

    it('links as tags that can be pasted into a search', async () => {
      setup()
      const context = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
      const [written] = await sent(span({ links: [{ context }, { context: { ...context, spanId: '00f067aa0ba902b7' } }] as Link[] }))
      assert.deepEqual(written?.['tags'], {
        'link.0': '0af7651916cd43dd8448eb211c80319c/b7ad6b7169203331',
        'link.1': '0af7651916cd43dd8448eb211c80319c/00f067aa0ba902b7',
        'service.name': 'test-service',
      })
    })

    it('an error tag for what failed, with its words where there are any', async () => {
      setup()
      const failed = (message?: string) => span({ status: { code: SpanStatusCode.ERROR, ...(message && { message }) } })
      const written = await sent(failed('timeout'), failed(), span({ status: { code: SpanStatusCode.OK } }))
      assert.deepEqual(
        written.map(({ tags }) => (tags as Record<string, string>)['error']),
        ['timeout', 'true', undefined],
      )
    })
  })

  it('is done with a batch when it is answered, not before: what waits is bounded elsewhere', async () => {
    setup()
    const held = Promise.withResolvers<ServerResponse>()
    answer = held.resolve
    let isDone = false
    const done = send(span()).then(() => {
      isDone = true
    })
    const response = await held.promise
    assert.equal(isDone, false)
    response.end()
    await done
  })

  describe('when Zipkin', () => {
    const troubles: [what: string, reason: RegExp, answer: (response: ServerResponse) => void][] = [
      ['answers 500', /^answered 500$/, response => response.writeHead(500).end()],
      ['resets', /closed|reset|hang up/, response => response.destroy()],
      ['hangs', /timeout/, () => undefined],
    ]
    for (const [what, reason, trouble] of troubles) {
      it(`${what}, drops spans, tries no more for a while and warns once`, async () => {
        setup({ timeoutMs: 50 })
        answer = trouble
        for (let i = 0; i < 3; i += 1) assert.deepEqual(await send(span()), { code: 0 })
        assert.equal(received.length, 1)
        assert.equal(logged.length, 1)
        const { level, msg, reason: given = '' } = logged[0] ?? assert.fail()
        assert.deepEqual([level, msg], [40, 'trace collector cannot be reached, spans are dropped'])
        assert.match(given, reason)
      })
    }

    it('is not there, warns once, and says why', async () => {
      setup()
      await stopServer()
      await Promise.all([send(span()), send(span())])
      await send(span())
      assert.equal(logged.length, 1)
      assert.match(logged[0]?.reason ?? '', /ECONNREFUSED/)
    })

    it('is not there, says why for as long as that lasts, and counts what it drops', async () => {
      setup({ pauseMs: 1 })
      assert.deepEqual([exporter.problem, exporter.dropped], [undefined, 0])
      answer = response => response.writeHead(500).end()
      await send(span(), span())
      assert.deepEqual([exporter.problem, exporter.dropped], ['answered 500', 2])
      answer = response => response.writeHead(202).end()
      await pause()
      await send(span())
      assert.deepEqual([exporter.problem, exporter.dropped], [undefined, 2])
    })

    it('counts the spans that it drops in the pause after a failure', async () => {
      setup()
      answer = response => response.writeHead(500).end()
      await send(span())
      await send(span(), span())
      assert.deepEqual([received.length, exporter.dropped], [1, 3])
    })

    it('is known to take spans only when it has taken some', async () => {
      setup({ pauseMs: 1 })
      answer = response => response.writeHead(500).end()
      await send(span())
      assert.equal(exporter.hasSent, false)
      answer = response => response.writeHead(202).end()
      await pause()
      await send(span())
      assert.equal(exporter.hasSent, true)
    })

    it('is back, says so once; and warns again when it goes again', async () => {
      setup({ pauseMs: 1 })
      answer = response => response.writeHead(500).end()
      await send(span())
      await pause()
      await send(span())
      answer = response => response.writeHead(202).end()
      await pause()
      await send(span())
      await send(span())
      assert.equal(received.length, 4)
      answer = response => response.writeHead(500).end()
      await send(span())
      assert.deepEqual(
        logged.map(({ level, msg }) => [level, msg.slice(0, 23)]),
        [
          [40, 'trace collector cannot '],
          [30, 'trace collector reached'],
          [40, 'trace collector cannot '],
        ],
      )
    })
  })

  it('sends spans nowhere else, though Zipkin redirects', async () => {
    let strayed = 0
    const elsewhere = createServer((_request, response) => {
      strayed += 1
      response.writeHead(202).end()
    })
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening')
    setup()
    answer = response => response.writeHead(307, { location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/` }).end()
    await send(span())
    elsewhere.close()
    elsewhere.closeAllConnections()
    assert.deepEqual([strayed, logged[0]?.reason], [0, 'answered 307'])
  })

  it('does not read what Zipkin answers, however much it is', async () => {
    setup()
    const answered = Promise.withResolvers<ServerResponse>()
    answer = response => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      }
      response.writeHead(202).on('drain', more)
      more()
      answered.resolve(response)
    }
    await send(span())
    const response = await answered.promise
    if (!response.destroyed) await once(response, 'close')
    assert.deepEqual(logged, [])
  })

  it('ends an answer that comes in drops, at the deadline', async () => {
    setup({ timeoutMs: 300 })
    const answered = Promise.withResolvers<ServerResponse>()
    answer = response => {
      const drip = setInterval(() => response.write('.'), 20)
      response.writeHead(202).once('close', () => clearInterval(drip))
      answered.resolve(response)
    }
    const started = performance.now()
    await send(span())
    const tookMs = performance.now() - started
    assert.ok(tookMs > 250 && tookMs < 2000, `${tookMs} ms`)
    const response = await answered.promise
    if (!response.destroyed) await once(response, 'close')
  })

  it('is done with a batch whose answer was cut short, and stops at once', async () => {
    setup()
    answer = response => {
      response.writeHead(202, { 'content-length': 100 }).write('x')
      setImmediate(() => response.destroy())
    }
    const started = performance.now()
    await send(span())
    await exporter.shutdown()
    assert.ok(performance.now() - started < 2000)
    assert.deepEqual(logged, [])
  })

  it('sends one batch at a time, though it is handed several', async () => {
    setup()
    let underWay = 0
    let mostUnderWay = 0
    answer = response => {
      underWay += 1
      mostUnderWay = Math.max(mostUnderWay, underWay)
      setTimeout(() => {
        underWay -= 1
        response.writeHead(202).end()
      }, 10)
    }
    await Promise.all([send(span()), send(span()), send(span())])
    assert.deepEqual([received.length, mostUnderWay], [3, 1])
  })

  it('waits for what is on its way when it is told to flush', async () => {
    setup()
    const held = Promise.withResolvers<ServerResponse>()
    answer = held.resolve
    void send(span())
    let isFlushed = false
    const flushed = exporter.shutdown().then(() => {
      isFlushed = true
    })
    const response = await held.promise
    assert.equal(isFlushed, false)
    response.end()
    await flushed
  })
})

/** Longer than a pause of 1 ms. */
async function pause(): Promise<void> {
  const started = performance.now()
  while (performance.now() - started < 3) await new Promise(setImmediate)
}

/** A span as the SDK makes it, with some of it as the test wants it. */
function span(overrides: Partial<ReadableSpan> = {}): ReadableSpan {
  const provider = new TracerProvider({ resource: resourceFromAttributes({ 'service.name': 'test-service' }) })
  const made = provider.getTracer('test').startSpan('work')
  made.end()
  return Object.create(made, Object.getOwnPropertyDescriptors(overrides)) as ReadableSpan
}
