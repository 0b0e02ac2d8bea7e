import assert from 'node:assert/strict'
import { accept, type CallbackAnswer, patchConfig, range, readMetrics } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import { ServiceProcess } from './support/service-process.ts'
import { type Surroundings, startSurroundings } from './support/system.ts'
import type { ZipkinSpan } from './support/zipkin-collector.ts'

const SUPERUSER = 'superuser-'.repeat(4)
const LEASE_SECONDS = '2'

describe('agents as processes', function () {
  this.timeout(60_000)
  let surroundings: Surroundings
  let service: ServiceProcess
  let url: string
  let agents: ServiceProcess[]

  before(async () => {
    surroundings = await startSurroundings({
      hasTraces: true,
      callback: { ACCESS_SUPERUSER_KEYS: SUPERUSER, AGENTS_LEASE_SECONDS: LEASE_SECONDS, EXPIRY_TTL_SECONDS: '1' },
    })
    service = await (await surroundings.startCallbackService()).ready()
    url = service.url
    await ask('POST', '/v1/workspaces', { name: 'plant', fetcher: 'agents' })
  })

  beforeEach(() => {
    agents = []
  })

  afterEach(async () => {
    await Promise.all(agents.map(agent => agent.stop('SIGKILL')))
    await patchConfig(surroundings.clientAdminUrl, { latency: { minMs: null, maxMs: null }, faults: { down: null } })
  })

  after(() => surroundings.stop())

  async function ask(method: string, path: string, body?: unknown): Promise<string> {
    const workspace = path.startsWith('/v1/workspaces') ? {} : { 'x-workspace': 'plant' }
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${SUPERUSER}`, 'content-type': 'application/json', ...workspace },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
    return text
  }

  async function startAgent(name: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
    const { key } = JSON.parse(await ask('POST', '/v1/agents', { name })) as { key: string }
    const agent = await ServiceProcess.start('agent', {
      ANSWERBACK_URL: url,
      AGENT_KEY: key,
      CLIENT_SERVICE_URL: surroundings.clientUrl,
      ZIPKIN_URL: surroundings.zipkin.url,
      ANSWERBACK_RETRY_MAX_MS: '500',
      ...env,
    })
    agents.push(agent)
    return agent
  }

  const post = (ids: readonly (number | string)[]): Promise<string> =>
    accept(url, ids, { authorization: `Bearer ${SUPERUSER}`, 'x-workspace': 'plant' })

  const read = async (id: string): Promise<CallbackAnswer> => JSON.parse(await ask('GET', `/v1/callbacks/${id}`)) as CallbackAnswer

  const finished = (id: string): Promise<CallbackAnswer> =>
    until(async () => {
      const callback = await read(id)
      return ['completed', 'failed'].includes(callback.state) ? callback : undefined
    })

  const isSlow = (ms: number): Promise<void> => patchConfig(surroundings.clientAdminUrl, { latency: { minMs: ms, maxMs: ms } })
  const fetchesOf = async (agent: ServiceProcess): Promise<number> => (await readMetrics(agent.adminUrl)).total('fetches_in_flight')

  it('fetch and deliver the exact objects of a callback', async () => {
    const agent = await startAgent('exact')
    const ids = ['1', '9007199254740993', '-9223372036854775808', '9223372036854775807']
    const id = await post(ids)
    const { state, attempts } = await finished(id)
    assert.deepEqual([state, attempts], ['completed', 1])
    const text = await ask('GET', `/v1/callbacks/${id}`)
    for (const each of ids) assert.match(text, new RegExp(`"id":${each},"href":"[^"]+","outcome":"(stored|expired)"`))
    assert.equal((await readMetrics(agent.adminUrl)).total('objects_delivered_total'), 4)
  })

  it('make one trace of POST, lease, fetches, deliveries, stored and expired objects', async () => {
    await startAgent('traced')
    const { trace_id } = await finished(await post(range(1, 5)))
    const spans = await until(() => {
      const all = surroundings.zipkin.trace(trace_id)
      const of = (name: string): ZipkinSpan[] => all.filter(span => span.name === name)
      const expired = of('expire objects').reduce((sum, span) => sum + Number(span.tags['answerback.object.count']), 0)
      return expired >= 5 && of('GET /objects/:id').length >= 5 && of('end lease').length === 1 ? all : undefined
    })
    const byId = new Map(spans.map(span => [span.id, span]))
    const pathOf = (span: ZipkinSpan): string[] => {
      const parent = span.parentId === undefined ? undefined : byId.get(span.parentId)
      return [...(parent ? pathOf(parent) : []), `${span.name} ${span.localEndpoint.serviceName}`]
    }
    const leased = [
      'POST /callback callback-service',
      'accept callback callback-service',
      'lease callback callback-service',
      'process callback agent',
    ]
    const fetched = spans.filter(({ name }) => name === 'GET /objects/:id')
    for (const span of fetched) assert.deepEqual(pathOf(span), [...leased, 'fetch object agent', 'GET /objects/:id client-service'])
    const delivered = spans.find(({ name }) => name === 'PUT /v1/leases/:token/objects')
    assert.ok(delivered)
    assert.deepEqual(pathOf(delivered), [...leased, 'deliver objects agent', 'PUT /v1/leases/:token/objects callback-service'])
    const expired = spans.find(({ name }) => name === 'expire objects')
    assert.ok(expired)
    assert.deepEqual(pathOf(expired).slice(0, 4), leased)
    assert.deepEqual(surroundings.zipkin.refusals, [])
  })

  it('take over from an agent that was killed', async () => {
    await isSlow(60_000)
    const first = await startAgent('killed')
    const id = await post(range(1, 20))
    await until(async () => (await fetchesOf(first)) === 20)
    await first.stop('SIGKILL')
    await isSlow(5)
    await startAgent('heir')
    const { state, attempts } = await finished(id)
    assert.deepEqual([state, attempts], ['completed', 1])
  })

  it('give back what they hold when they stop, so that others need not wait', async () => {
    await isSlow(60_000)
    const first = await startAgent('leaving', { FETCH_TIMEOUT_MS: '60000' })
    const id = await post([1])
    await until(async () => (await fetchesOf(first)) === 1)
    await isSlow(5)
    assert.equal(await first.stop('SIGTERM'), 0)
    const callback = await read(id)
    assert.deepEqual([callback.state, callback.attempts], ['pending', 0])
    await startAgent('staying')
    assert.equal((await finished(id)).state, 'completed')
  })

  it('keep a lease whose fetches take longer than it lasts', async () => {
    await isSlow(2.5 * 1000 * Number(LEASE_SECONDS))
    const agent = await startAgent('patient', { FETCH_TIMEOUT_MS: '20000' })
    const { state, attempts } = await finished(await post([1, 2]))
    assert.deepEqual([state, attempts], ['completed', 1])
    assert.equal((await readMetrics(agent.adminUrl)).total('leases_total'), 1)
  })

  it('lose no callback when they are frozen for longer than their leases last', async () => {
    await isSlow(500)
    const agent = await startAgent('frozen')
    const ids = await Promise.all(range(1, 10).map(i => post([i])))
    await until(async () => (await fetchesOf(agent)) >= 5)
    agent.signal('SIGSTOP')
    await until(async () => (await Promise.all(ids.map(read))).every(({ state }) => state !== 'running'), 10_000)
    agent.signal('SIGCONT')
    for (const id of ids) assert.equal((await finished(id)).state, 'completed')
  })

  it('go on with another process of the service', async () => {
    await isSlow(1000)
    const agent = await startAgent('loyal')
    const id = await post(range(1, 10))
    await until(async () => (await fetchesOf(agent)) === 10)
    await service.stop('SIGKILL')
    service = await surroundings.startCallbackService({ HTTP_PORT: new URL(url).port })
    await service.ready()
    const { state, attempts } = await finished(id)
    assert.deepEqual([state, attempts], ['completed', 1])
    assert.equal((await finished(await post([77]))).state, 'completed')
  })

  it('finish a backlog soon after the client service is back', async () => {
    await patchConfig(surroundings.clientAdminUrl, { faults: { down: true } })
    const agent = await startAgent('probing', { FETCH_MAX_HOLD_MS: '100', FETCH_RETRY_BASE_MS: '10' })
    const ids = await Promise.all(range(1, 30).map(i => post([i])))
    await until(async () => (await (await fetch(`${agent.adminUrl}/readyz`)).text()).includes('"degraded"'))
    await patchConfig(surroundings.clientAdminUrl, { faults: { down: false } })
    const started = performance.now()
    for (const id of ids) assert.equal((await finished(id)).state, 'completed')
    assert.ok(performance.now() - started < 10_000)
  })

  it('get nothing with a key that is revoked, and say so', async () => {
    const agent = await startAgent('revoked', { LEASES_WAIT_SECONDS: '1' })
    await until(async () => (await fetch(`${agent.adminUrl}/readyz`)).ok)
    const { items } = JSON.parse(await ask('GET', '/v1/workspaces/plant/keys')) as { items: { id: string }[] }
    for (const { id } of items) await ask('DELETE', `/v1/workspaces/plant/keys/${id}`)
    const health = await until(async () => {
      const answer = await fetch(`${agent.adminUrl}/readyz`)
      return answer.status === 503 ? answer.text() : undefined
    })
    assert.match(health, /"answerback":\{"status":"failing","reason":"invalid_key"/)
    assert.equal(await agent.stop('SIGTERM'), 0)
  })
})
