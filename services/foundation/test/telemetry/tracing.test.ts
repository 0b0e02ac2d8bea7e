import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { logs } from '@opentelemetry/api'
import { pino } from 'pino'
import { ZipkinCollector } from '../../../../test/support/zipkin-collector.ts'
import type { ExporterName } from '../../telemetry/exporters.ts'
import { context, contextFromHeaders, inSpan, startSpan, trace } from '../../telemetry/spans.ts'
import { Telemetry } from '../../telemetry/tracing.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const IMPORT_STARTED = 'tracing:module.import:start'

describe('Telemetry', () => {
  let collector: ZipkinCollector
  let telemetry: Telemetry
  let logged: { level: number; msg: string; reason?: string }[]

  beforeEach(async () => {
    logged = []
    collector = new ZipkinCollector()
    await collector.start()
  })

  afterEach(async () => {
    await telemetry.stop()
    collector.stop()
    assert.deepEqual(collector.refusals, [])
  })

  function start(options: { exporter?: ExporterName; zipkinUrl?: string } = {}): void {
    const logger = pino({ level: 'info', base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) })
    telemetry = new Telemetry({ serviceName: 'test-service', zipkinUrl: collector.url, sampleRatio: 1, logger, ...options })
    telemetry.start()
  }

  async function sent(): Promise<string[]> {
    await telemetry.stop()
    return collector.spans.map(span => span.name)
  }

  /** The packages of OpenTelemetry that are imported while `work` runs. */
  async function importedBy(work: () => Promise<void>): Promise<string[]> {
    const imported: string[] = []
    const onImport = (message: unknown): void => {
      imported.push((message as { url: string }).url)
    }
    subscribe(IMPORT_STARTED, onImport)
    await work()
    unsubscribe(IMPORT_STARTED, onImport)
    return imported.filter(name => name.startsWith('@opentelemetry/')).toSorted()
  }

  it('loads NodeSDK and the exporter of Zipkin when the sending starts', async () => {
    assert.deepEqual(await importedBy(async () => start()), [])
    assert.deepEqual(await importedBy(() => telemetry.sending.start()), ['@opentelemetry/exporter-zipkin', '@opentelemetry/sdk-node'])
  })

  for (const [what, options] of [
    ['the exporter none', { exporter: 'none' }],
    ['no URL of Zipkin', { zipkinUrl: '' }],
  ] as const) {
    it(`loads nothing for ${what}, and gives spans their ids all the same`, async () => {
      start(options)
      assert.deepEqual(await importedBy(() => telemetry.sending.start()), [])
      assert.match(startSpan('work', {}).spanContext().traceId, /^[0-9a-f]{32}$/)
    })
  }

  it('sends the spans that ended, and those that began, before NodeSDK was there', async () => {
    start()
    startSpan('ended before', {}).end()
    const begun = startSpan('ended after', {})
    await telemetry.sending.start()
    begun.end()
    startSpan('begun after', {}).end()
    assert.deepEqual(await sent(), ['ended before', 'ended after', 'begun after'])
  })

  it('leaves work under way its context when NodeSDK takes over', async () => {
    start()
    await inSpan('work', { parent: contextFromHeaders({ traceparent: TRACEPARENT }) }, async span => {
      const before = context.active()
      await telemetry.sending.start()
      assert.equal(context.active(), before)
      assert.equal(trace.getSpan(context.active()), span)
      await inSpan('more work', {}, async () => undefined)
    })
    await telemetry.stop()
    const [inner, outer] = collector.spans
    assert.deepEqual([inner?.traceId, inner?.parentId], [outer?.traceId, outer?.id])
    assert.deepEqual(logged, [])
  })

  it('sends what it has when it is stopped while NodeSDK is loading', async () => {
    start()
    startSpan('work', {}).end()
    const started = telemetry.sending.start()
    assert.deepEqual(await sent(), ['work'])
    await started
  })

  it('stays stopped when NodeSDK comes later', async () => {
    start()
    await telemetry.stop()
    await telemetry.sending.start()
    assert.equal(startSpan('late', {}).isRecording(), false)
  })

  it('sends no logs, though others in the process write them through OpenTelemetry', async () => {
    let received = 0
    const logCollector = createServer((_request, response) => {
      received += 1
      response.end()
    })
    await once(logCollector.listen(0, '127.0.0.1'), 'listening')
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(logCollector.address() as AddressInfo).port}`
    start()
    await telemetry.sending.start()
    logs.getLogger('test').emit({ body: 'a line' })
    await telemetry.stop()
    delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT']
    logCollector.close()
    assert.equal(received, 0)
  })
})
