import assert from 'node:assert/strict'
import { accept, finished, patchConfig, range, readCallback } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import { type System, startSystem } from './support/system.ts'
import type { ZipkinSpan } from './support/zipkin-collector.ts'

describe('the trace of a callback', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ callback: { EXPIRY_TTL_SECONDS: '1' }, hasTraces: true })
  })

  afterEach(() => assert.deepEqual(system.zipkin.refusals, []))

  after(() => system.stop())

  /** Waits until all objects of a callback are deleted. @returns the spans of its trace */
  async function wholeTrace(traceId: string, objects: number): Promise<ZipkinSpan[]> {
    await until(() => {
      const expired = system.zipkin.trace(traceId).filter(span => span.name === 'expire objects')
      return expired.reduce((sum, span) => sum + Number(span.tags['answerback.object.count']), 0) >= objects
    })
    // The client service sends its spans separately.
    await until(() => system.zipkin.trace(traceId).filter(span => span.name === 'GET /objects/:id').length >= objects)
    return system.zipkin.trace(traceId)
  }

  it('leads from the POST to the deletion, every span below the right one', async () => {
    const id = await accept(system.callbackUrl, range(1, 12))
    const { trace_id } = await finished(system.callbackUrl, id)
    const spans = await wholeTrace(trace_id, 12)

    const byId = new Map(spans.map(span => [span.id, span]))
    const parentName = (span: ZipkinSpan): string | undefined => (span.parentId === undefined ? undefined : byId.get(span.parentId)?.name)
    const shape = Map.groupBy(spans, span => `${parentName(span)} > ${span.name} ${span.kind} ${span.localEndpoint.serviceName}`)
    const counts = Object.fromEntries([...shape].map(([edge, of]) => [edge, of.length]))
    const {
      'process callback > store objects undefined callback-service': stores,
      'store objects > expire objects undefined callback-service': expiries,
      ...rest
    } = counts
    assert.deepEqual(rest, {
      'undefined > POST /callback SERVER callback-service': 1,
      'POST /callback > accept callback PRODUCER callback-service': 1,
      'accept callback > process callback CONSUMER callback-service': 1,
      'process callback > fetch object CLIENT callback-service': 12,
      'fetch object > GET /objects/:id SERVER client-service': 12,
    })
    assert.ok(stores !== undefined && stores >= 1 && expiries !== undefined && expiries >= stores)
  })

  it('continues the trace of the sender, with W3C or B3 headers', async () => {
    const traceId = 'a'.repeat(31)
    for (const [i, headers] of [
      { traceparent: `00-${traceId}1-00f067aa0ba902b7-01` },
      { b3: `${traceId}2-00f067aa0ba902b7-1` },
      { 'x-b3-traceid': `${traceId}3`, 'x-b3-spanid': '00f067aa0ba902b7', 'x-b3-sampled': '1' },
    ].entries()) {
      const id = await accept(system.callbackUrl, [i], headers as Record<string, string>)
      assert.equal((await readCallback(system.callbackUrl, id)).trace_id, `${traceId}${i + 1}`)
      const spans = await wholeTrace(`${traceId}${i + 1}`, 1)
      assert.equal(spans.find(span => span.name === 'POST /callback')?.parentId, '00f067aa0ba902b7')
    }
  })

  it('records nothing if the sender does not record', async () => {
    const traceId = 'b'.repeat(32)
    await accept(system.callbackUrl, [1], { traceparent: `00-${traceId}-00f067aa0ba902b7-00` }).then(id => finished(system.callbackUrl, id))
    const { trace_id } = await accept(system.callbackUrl, [2]).then(id => finished(system.callbackUrl, id))
    await wholeTrace(trace_id, 1)
    assert.deepEqual(system.zipkin.trace(traceId), [])
  })

  it('shows in its own trace that the fetch of another callback served it', async () => {
    // Five of eight requests leave, and three wait. The second callback can share at least those three.
    await patchConfig(system.clientAdminUrl, { latency: { minMs: 200, maxMs: 200 } })
    await patchConfig(system.callbackAdminUrl, { fetch: { concurrency: 5 } })
    const [first, second] = await Promise.all([accept(system.callbackUrl, range(50, 8)), accept(system.callbackUrl, range(50, 8))])
    const traces = await Promise.all([first, second].map(async id => (await finished(system.callbackUrl, id)).trace_id))
    await patchConfig(system.callbackAdminUrl, { fetch: { concurrency: 512 } })
    await patchConfig(system.clientAdminUrl, { latency: { minMs: 5, maxMs: 50 } })
    const shares = await until(() => {
      const found = system.zipkin.spans.filter(span => span.name === 'share fetch' && traces.includes(span.traceId))
      return found.length >= 3 ? found : undefined
    })
    for (const share of shares) {
      const [traceId, spanId] = (share.tags['link.0'] as string).split('/')
      const fetchSpan = await until(() => system.zipkin.spans.find(span => span.id === spanId))
      assert.equal(fetchSpan.traceId, traceId)
      assert.notEqual(fetchSpan.traceId, share.traceId)
      assert.equal(fetchSpan.tags['answerback.object.id'], share.tags['answerback.object.id'])
    }
  })

  it('puts the ids of trace, span and request on the lines of the log', async () => {
    await patchConfig(system.callbackAdminUrl, { log: { level: 'debug' } })
    const id = await accept(system.callbackUrl, [1], { 'x-request-id': 'ask-1' })
    const { trace_id } = await finished(system.callbackUrl, id)
    await patchConfig(system.callbackAdminUrl, { log: { level: 'info' } })
    const lines = await until(() => {
      const found = system.callbackService.log.filter(line => line['trace_id'] === trace_id && line['request_id'] === 'ask-1')
      return found.some(line => line.msg === 'callback left its worker') ? found : undefined
    })
    assert.ok(lines.some(line => line.msg === 'request answered'))
    assert.ok(lines.every(line => /^[0-9a-f]{16}$/.test(String(line['span_id']))))
  })
})
