import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { otlpExporter } from '../../telemetry/exporters.ts'
import { OutageGuard } from '../../telemetry/outage-guard.ts'

describe('spans sent to an OpenTelemetry collector', () => {
  let server: Server
  let received: { request: IncomingMessage; body: Buffer }[]
  let logged: { level: number; msg: string; reason?: string }[]
  let answer: (response: ServerResponse) => void

  beforeEach(async () => {
    received = []
    logged = []
    answer = response => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    server = createServer(async (request, response) => {
      received.push({ request, body: await buffer(request) })
      answer(response)
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    process.env['OTEL_EXPORTER_OTLP_HEADERS'] = 'x-team=callbacks'
  })

  afterEach(async () => {
    delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT']
    delete process.env['OTEL_EXPORTER_OTLP_HEADERS']
    server.closeAllConnections()
    if (server.listening) await once(server.close(), 'close')
  })

  function guard(timeoutMs = 5000): OutageGuard {
    const logger = pino({ level: 'debug', base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) })
    return new OutageGuard({ exporter: otlpExporter(timeoutMs), collector: { exporter: 'otlp' }, logger, timeoutMs })
  }

  it('are protobuf over HTTP, to where OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS say', async () => {
    await send(guard(), span('POST /callback'))
    const { request, body } = received[0] ?? assert.fail('nothing came')
    assert.deepEqual([request.method, request.url], ['POST', '/v1/traces'])
    assert.deepEqual([request.headers['content-type'], request.headers['x-team']], ['application/x-protobuf', 'callbacks'])
    assert.ok(body.includes('POST /callback') && body.includes('test-service'))
    assert.deepEqual(logged, [])
  })

  const troubles: [what: string, reason: RegExp, answer: (response: ServerResponse) => void][] = [
    ['answers 400', /^answered 400$/, response => response.writeHead(400).end()],
    ['asks for another try later than in time', /^answered 503$/, response => response.writeHead(503, { 'retry-after': '60' }).end()],
    ['redirects', /^answered 307$/, response => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
    ['hangs', /timeout/, () => undefined],
  ]
  for (const [what, reason, trouble] of troubles) {
    it(`are dropped, with one warning, while it ${what}`, async () => {
      answer = trouble
      const exporter = guard(500)
      for (let i = 0; i < 3; i += 1) await send(exporter, span())
      assert.equal(received.length, 1)
      assert.deepEqual(
        logged.map(({ level, msg }) => [level, msg]),
        [[40, 'trace collector cannot be reached, spans are dropped']],
      )
      assert.match(logged[0]?.reason ?? '', reason)
    })
  }

  it('are not sent again after the deadline', async () => {
    answer = response => response.writeHead(503).end()
    await send(guard(300), span())
    await sleep(1500)
    assert.equal(received.length, 1)
  })

  it('hold no request longer than the deadline, though its answer comes in drops', async () => {
    let isCut = false
    answer = response => {
      const drip = setInterval(() => response.write('.'), 50)
      response.writeHead(400).once('close', () => {
        clearInterval(drip)
        isCut = true
      })
    }
    const started = performance.now()
    await send(guard(300), span())
    const tookMs = performance.now() - started
    assert.ok(tookMs > 250 && tookMs < 2000, `${tookMs} ms`)
    await until(() => isCut)
  })
})

/** Sends one batch. @returns when it is done with */
function send(exporter: OutageGuard, ...spans: ReadableSpan[]): Promise<unknown> {
  return new Promise(resolve => exporter.export(spans, resolve))
}

function span(name = 'work'): ReadableSpan {
  const provider = new TracerProvider({ resource: resourceFromAttributes({ 'service.name': 'test-service' }) })
  const made = provider.getTracer('test').startSpan(name)
  made.end()
  return made as unknown as ReadableSpan
}
