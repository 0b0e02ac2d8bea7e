import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { ZipkinCollector, type ZipkinSpan } from '../../../../test/support/zipkin-collector.ts'
import {
  type Context,
  carrierOf,
  context,
  contextFromCarrier,
  contextFromHeaders,
  inSpan,
  isSampled,
  SpanKind,
  startSpan,
  trace,
} from '../../telemetry/spans.ts'
import { Telemetry } from '../../telemetry/tracing.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE_ID}-${SPAN_ID}-01`
const OTHER_TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'

const logger = pino({ level: 'silent' })

/** What a request with these headers goes on in: the ids and the decision, short. */
function extracted(headers: Record<string, string>): string | undefined {
  const span = trace.getSpanContext(contextFromHeaders(headers))
  return span && `${span.traceId} ${span.spanId} ${span.traceFlags}`
}

describe('telemetry', () => {
  let collector: ZipkinCollector
  let telemetry: Telemetry

  beforeEach(async () => {
    collector = new ZipkinCollector()
    await collector.start()
    await start()
  })

  afterEach(async () => {
    await telemetry.stop()
    collector.stop()
    assert.deepEqual(collector.refusals, [])
  })

  async function start(options: { zipkinUrl?: string; sampleRatio?: number } = {}): Promise<void> {
    telemetry = new Telemetry({ serviceName: 'test-service', zipkinUrl: collector.url, sampleRatio: 1, logger, ...options })
    telemetry.start()
    await telemetry.sending.start()
  }

  /** All spans that were recorded; the end of the telemetry under test. */
  async function spans(): Promise<ZipkinSpan[]> {
    await telemetry.stop()
    return collector.spans
  }

  describe('contextFromHeaders', () => {
    it('takes nothing from the context in which it is asked', async () => {
      await inSpan('the request before', { parent: contextFromHeaders({ traceparent: TRACEPARENT, baggage: 'a=1' }) }, async () => {
        assert.deepEqual(carrierOf(contextFromHeaders({})), {})
      })
    })

    for (const headers of [
      { traceparent: `01-${TRACE_ID}-${SPAN_ID}-01-${'x'.repeat(500)}` },
      { b3: `${TRACE_ID}-${SPAN_ID}-1${' x'.repeat(300)}` },
      { 'x-b3-traceid': TRACE_ID.repeat(20), 'x-b3-spanid': SPAN_ID },
    ]) {
      it(`ignores a header that is far too long for a trace: ${Object.keys(headers)[0]}`, () => {
        assert.deepEqual(carrierOf(contextFromHeaders(headers)), {})
      })
    }

    const headers: [what: string, headers: Record<string, string>, expected: string | undefined][] = [
      ['W3C', { traceparent: TRACEPARENT }, `${TRACE_ID} ${SPAN_ID} 1`],
      ['W3C, not sampled', { traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` }, `${TRACE_ID} ${SPAN_ID} 0`],
      ['B3 in one header', { b3: `${TRACE_ID}-${SPAN_ID}-1` }, `${TRACE_ID} ${SPAN_ID} 1`],
      ['B3 in one header, not sampled', { b3: `${TRACE_ID}-${SPAN_ID}-0-${SPAN_ID}` }, `${TRACE_ID} ${SPAN_ID} 0`],
      ['B3 in one header, with a short trace id', { b3: `${SPAN_ID}-${SPAN_ID}-1` }, `${'0'.repeat(16)}${SPAN_ID} ${SPAN_ID} 1`],
      ['B3 in several headers', { 'x-b3-traceid': TRACE_ID, 'x-b3-spanid': SPAN_ID, 'x-b3-sampled': '1' }, `${TRACE_ID} ${SPAN_ID} 1`],
      [
        'B3 in several headers, not sampled',
        { 'x-b3-traceid': TRACE_ID, 'x-b3-spanid': SPAN_ID, 'x-b3-sampled': '0' },
        `${TRACE_ID} ${SPAN_ID} 0`,
      ],
      ['W3C before B3', { traceparent: TRACEPARENT, b3: `${OTHER_TRACE_ID}-${SPAN_ID}-0` }, `${TRACE_ID} ${SPAN_ID} 1`],
      ['B3 when the W3C header is broken', { traceparent: '00-zz-zz-01', b3: `${TRACE_ID}-${SPAN_ID}-1` }, `${TRACE_ID} ${SPAN_ID} 1`],
      ['no trace from no headers', {}, undefined],
      ['no trace from an id of zeros', { traceparent: `00-${'0'.repeat(32)}-${SPAN_ID}-01` }, undefined],
      ['no trace from garbage', { traceparent: 'x', b3: 'y', 'x-b3-traceid': 'z' }, undefined],
    ]
    for (const [what, given, expected] of headers) {
      it(`reads ${what}`, () => assert.equal(extracted(given), expected))
    }
  })

  describe('carrierOf', () => {
    it('sends the trace on in W3C headers only, whatever it came in', () => {
      const parent = contextFromHeaders({ b3: `${TRACE_ID}-${SPAN_ID}-1` })
      const span = startSpan('work', { parent })
      assert.deepEqual(carrierOf(trace.setSpan(parent, span)), { traceparent: `00-${TRACE_ID}-${span.spanContext().spanId}-01` })
    })

    it('is empty where there is nothing to send', () => {
      assert.deepEqual(carrierOf(contextFromHeaders({})), {})
    })

    for (const baggage of ['k1=v1,k2=v2;p=1', ' k1 = v1 ; p=1 ,,k2=%20\t,k 3="x"', '=', '\u00e9', '']) {
      it(`passes the baggage ${JSON.stringify(baggage)} on byte for byte`, () => {
        const parent = contextFromHeaders({ traceparent: TRACEPARENT, baggage })
        const inside = trace.setSpan(parent, startSpan('work', { parent }))
        const stored = carrierOf(inside)
        assert.equal(stored.baggage, baggage)
        assert.equal(carrierOf(contextFromCarrier(stored)).baggage, baggage)
      })
    }

    it('sends at most 512 bytes and 32 members of tracestate on, each whole', () => {
      const passedOn = (tracestate: string): string | undefined =>
        carrierOf(contextFromHeaders({ traceparent: TRACEPARENT, tracestate })).tracestate
      const [a, b, c, d] = [...['a', 'b', 'c'].map(key => `${key}=${'x'.repeat(200)}`), 'd=1']
      assert.equal(passedOn(`${a},${b},${c},${d}`), `${a},${b},${d}`)
      assert.equal(passedOn(Array.from({ length: 40 }, (_, i) => `k${i}=1`).join())?.split(',').length, 32)
    })

    it('comes back whole from contextFromCarrier, vendors’ state too', () => {
      const carrier = { traceparent: TRACEPARENT, tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE', baggage: 'a=b' }
      assert.deepEqual(carrierOf(contextFromCarrier(carrier)), carrier)
      assert.equal(trace.getSpanContext(contextFromCarrier(carrier))?.isRemote, true)
    })
  })

  describe('sampling', () => {
    const record = (parent?: Context): boolean => {
      const span = startSpan('work', parent ? { parent } : {})
      span.end()
      return isSampled(trace.setSpan(context.active(), span))
    }

    it('records every new trace at 1 and none at 0, and changes while it runs', async () => {
      assert.equal(record(), true)
      telemetry.setSampleRatio(0)
      for (let i = 0; i < 100; i += 1) assert.equal(record(), false)
      telemetry.setSampleRatio(1)
      assert.equal(record(), true)
      assert.equal((await spans()).length, 2)
    })

    it('starts with the ratio it was given', async () => {
      await telemetry.stop()
      await start({ sampleRatio: 0 })
      assert.equal(record(), false)
      assert.deepEqual(await spans(), [])
    })

    it('follows the caller who decided already, either way', async () => {
      assert.equal(record(contextFromHeaders({ traceparent: `00-${OTHER_TRACE_ID}-${SPAN_ID}-00` })), false)
      telemetry.setSampleRatio(0)
      assert.equal(record(contextFromHeaders({ traceparent: TRACEPARENT })), true)
      assert.deepEqual(
        (await spans()).map(span => span.traceId),
        [TRACE_ID],
      )
    })

    const decisions: [headers: Record<string, string>, isRecorded: boolean][] = [
      [{ b3: '0' }, false],
      [{ 'x-b3-sampled': '0' }, false],
      [{ 'x-b3-sampled': 'false' }, false],
      [{ b3: '1' }, true],
      [{ b3: 'd' }, true],
      [{ 'x-b3-sampled': '1' }, true],
      [{ 'x-b3-sampled': 'true' }, true],
      [{ 'x-b3-flags': '1' }, true],
    ]
    for (const [headers, isRecorded] of decisions) {
      it(`follows a caller who sends no ids and only decided: ${JSON.stringify(headers)}`, () => {
        telemetry.setSampleRatio(isRecorded ? 0 : 1)
        assert.equal(record(contextFromHeaders(headers)), isRecorded)
      })
    }

    it('decides itself where the caller says neither, or something else', () => {
      for (const headers of [{}, { b3: 'x' }, { 'x-b3-sampled': '' }, { 'x-b3-flags': '0' }] as Record<string, string>[]) {
        telemetry.setSampleRatio(1)
        assert.equal(record(contextFromHeaders(headers)), true)
        telemetry.setSampleRatio(0)
        assert.equal(record(contextFromHeaders(headers)), false)
      }
    })

    it('believes ids and flags before a decision that stands alone', () => {
      assert.equal(record(contextFromHeaders({ traceparent: TRACEPARENT, b3: '0' })), true)
    })

    it('gives ids to a trace it does not record, and says so to the next', () => {
      telemetry.setSampleRatio(0)
      assert.match(carrierOf(trace.setSpan(context.active(), startSpan('work', {}))).traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
    })
  })

  describe('spans', () => {
    it('reach Zipkin with their service, kind, parent and tags', async () => {
      const parent = contextFromHeaders({ traceparent: TRACEPARENT })
      await inSpan('outer', { kind: SpanKind.SERVER, parent, attributes: { 'http.route': '/x' } }, async () => {
        await inSpan('inner', {}, async () => undefined)
      })
      const [inner, outer] = await spans()
      assert.deepEqual([outer?.traceId, outer?.parentId, outer?.kind, outer?.name], [TRACE_ID, SPAN_ID, 'SERVER', 'outer'])
      assert.deepEqual(outer?.tags, { 'http.route': '/x', 'service.name': 'test-service' })
      assert.equal(outer?.localEndpoint.serviceName, 'test-service')
      assert.deepEqual([inner?.traceId, inner?.parentId, inner?.kind], [TRACE_ID, outer?.id, undefined])
    })

    it('tell how the work in them failed, and let the error go on', async () => {
      const error = Object.assign(new Error('no database'), { code: 'ECONNREFUSED' })
      await assert.rejects(
        inSpan('work', {}, () => Promise.reject(error)),
        error,
      )
      const [span] = await spans()
      assert.deepEqual(span?.tags, {
        error: 'no database',
        'error.type': 'ECONNREFUSED',
        'otel.status_code': 'ERROR',
        'service.name': 'test-service',
      })
    })

    it('may have begun at a fraction of a millisecond', async () => {
      startSpan('work', { startTime: performance.timeOrigin + 0.1234567 }).end()
      assert.equal((await spans()).length, 1)
    })

    it('are recorded by the telemetry that runs, not by one that has stopped', async () => {
      startSpan('first', {}).end()
      await telemetry.stop()
      await start()
      startSpan('second', {}).end()
      assert.deepEqual(
        (await spans()).map(span => span.name),
        ['first', 'second'],
      )
    })

    it('go nowhere when there is no Zipkin, and have their ids all the same', async () => {
      await telemetry.stop()
      await start({ zipkinUrl: '' })
      const span = startSpan('work', {})
      assert.match(span.spanContext().traceId, /^[0-9a-f]{32}$/)
      span.end()
      assert.deepEqual(await spans(), [])
    })
  })

  describe('with a Zipkin that takes its time', function () {
    this.timeout(10_000)
    let received: number
    let underWay: number
    let mostUnderWay: number
    let answer: (response: ServerResponse) => void
    const slow = createServer((request, response) => {
      request.resume()
      received += 1
      underWay += 1
      mostUnderWay = Math.max(mostUnderWay, underWay)
      answer(response)
    })

    beforeEach(async () => {
      received = underWay = mostUnderWay = 0
      answer = () => undefined
      await telemetry.stop()
      await once(slow.listen(0, '127.0.0.1'), 'listening')
      await start({ zipkinUrl: `http://127.0.0.1:${(slow.address() as AddressInfo).port}/` })
    })

    afterEach(() => {
      slow.closeAllConnections()
      slow.close()
    })

    it('has one request under way, however much there is to send', async () => {
      answer = response =>
        setTimeout(() => {
          underWay -= 1
          response.end()
        }, 20)
      for (let i = 0; i < 5 * 2048; i += 1) startSpan('work', {}).end()
      await until(() => received === 5)
      assert.equal(mostUnderWay, 1)
    })

    it('stops within about a second, whether it is answered or not', async () => {
      startSpan('work', {}).end()
      const started = performance.now()
      await telemetry.stop()
      const tookMs = performance.now() - started
      assert.equal(received, 1)
      assert.ok(tookMs > 900 && tookMs < 1500, `${tookMs} ms`)
    })
  })
})
