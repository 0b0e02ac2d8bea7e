import assert from 'node:assert/strict'
import { freePort, isPortFree } from '../deploy/local/ports.ts'
import { until } from './support/eventually.ts'
import { ServiceProcess } from './support/service-process.ts'
import { ZipkinCollector, type ZipkinSpan } from './support/zipkin-collector.ts'

describe('the variables of OpenTelemetry', function () {
  this.timeout(60_000)
  let zipkin: ZipkinCollector
  let service: ServiceProcess | undefined

  beforeEach(async () => {
    zipkin = new ZipkinCollector()
    await zipkin.start()
  })

  afterEach(async () => {
    await service?.stop()
    zipkin.stop()
  })

  async function start(env: Record<string, string>): Promise<ServiceProcess> {
    service = await ServiceProcess.start('client-service', { EMITTER_ENABLED: 'false', LATENCY_MIN_MS: '0', LATENCY_MAX_MS: '0', ...env })
    return service
  }

  async function spans(): Promise<readonly ZipkinSpan[]> {
    await until(() => zipkin.spans.length > 0)
    return zipkin.spans
  }

  async function askForObject({ url }: ServiceProcess): Promise<void> {
    assert.equal((await fetch(`${url}/objects/7`)).status, 200)
  }

  it('name the service and add to its spans', async () => {
    const env = { OTEL_SERVICE_NAME: 'objects-west', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging' }
    await askForObject(await start({ ZIPKIN_URL: zipkin.url, ...env }))
    const [span] = await spans()
    assert.equal(span?.localEndpoint.serviceName, 'objects-west')
    assert.equal(span?.tags['deployment.environment.name'], 'staging')
  })

  it('bound what one span holds, which NodeSDK alone knows of', async () => {
    await askForObject(await start({ ZIPKIN_URL: zipkin.url, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '1' }))
    const [span] = await spans()
    assert.equal(span?.tags['otel.dropped_attributes_count'], '4')
  })

  it('start no metrics, no logs and no detectors, and write nothing to the console', async () => {
    const port = await freePort()
    const client = await start({
      ZIPKIN_URL: zipkin.url,
      OTEL_METRICS_EXPORTER: 'prometheus',
      OTEL_EXPORTER_PROMETHEUS_PORT: `${port}`,
      OTEL_LOGS_EXPORTER: 'console',
      OTEL_LOG_LEVEL: 'all',
      OTEL_NODE_RESOURCE_DETECTORS: 'all',
    })
    await askForObject(client)
    const [span] = await spans()
    assert.deepEqual(
      Object.keys(span?.tags ?? {}).filter(tag => /^(host|process|os|service\.instance|telemetry)\./.test(tag)),
      [],
    )
    assert.equal(await isPortFree(port, '127.0.0.1'), true)
    assert.deepEqual(
      client.log.filter(line => line.level === 'unknown'),
      [],
    )
  })

  it('switch tracing off, and leave requests their ids', async () => {
    const client = await start({ ZIPKIN_URL: zipkin.url, OTEL_SDK_DISABLED: 'true' })
    const response = await fetch(`${client.url}/objects/none`)
    const { operation_id } = (await response.json()) as { operation_id: string }
    assert.match(operation_id, /^(?!0{32})[0-9a-f]{32}$/)
    await client.stop()
    assert.deepEqual(zipkin.spans, [])
  })

  it('do not choose the exporter or the share of traces: the settings do', async () => {
    await askForObject(await start({ ZIPKIN_URL: zipkin.url, OTEL_TRACES_EXPORTER: 'none', OTEL_TRACES_SAMPLER: 'always_off' }))
    await spans()
  })
})
