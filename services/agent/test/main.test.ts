import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { eventually } from '../../../test/support/eventually.ts'
import { ServiceProcess } from '../../../test/support/service-process.ts'
import { FakeAnswerback, json } from './fake-answerback.ts'

interface Span {
  readonly id: string
  readonly parentId?: string
  readonly name: string
  readonly kind?: string
}

const KEY = 'k'.repeat(32)

describe('the agent as a process', () => {
  let answerback: FakeAnswerback
  let agent: ServiceProcess
  let asked: string[]
  let fetches: IncomingMessage[]
  let answerObject: (id: string, response: ServerResponse) => void
  const client = createServer((request, response) => {
    const id = request.url?.split('/').at(-1) ?? ''
    asked.push(id)
    fetches.push(request)
    answerObject(id, response)
  })

  before(async () => {
    await once(client.listen(0, '127.0.0.1'), 'listening')
  })

  after(() => {
    client.closeAllConnections()
    client.close()
  })

  beforeEach(async () => {
    asked = []
    fetches = []
    answerObject = (id, response) => json(response, 200, `{"id":${id},"online":true}`)
    answerback = new FakeAnswerback()
    await answerback.start()
  })

  afterEach(async () => {
    await agent.stop('SIGKILL')
    await answerback.stop()
    client.closeAllConnections()
  })

  async function start(env: Record<string, string> = {}): Promise<void> {
    agent = await ServiceProcess.start('agent', {
      ANSWERBACK_URL: answerback.url,
      ANSWERBACK_RETRY_MAX_MS: '300',
      AGENT_KEY: KEY,
      CLIENT_SERVICE_URL: `http://127.0.0.1:${(client.address() as AddressInfo).port}`,
      FETCH_RETRY_BASE_MS: '10',
      ZIPKIN_URL: '',
      ...env,
    })
  }

  const hasEnded = (token: string): Promise<void> => eventually(`${token} ends`, () => answerback.ended.has(token))
  const spans = (): Span[] => answerback.requests(/^POST \/spans/).flatMap(({ body }) => JSON.parse(body) as Span[])
  const metrics = async (): Promise<string> => (await fetch(`${agent.adminUrl}/metrics`)).text()

  it('leases by its key, fetches and delivers the exact ids, and finishes', async () => {
    answerback.add({ token: 't1', ids: ['1', '-9223372036854775808', '9223372036854775807', '9007199254740993'] })
    await start()
    await hasEnded('t1')
    const [poll] = answerback.received
    assert.equal(poll?.path, 'POST /v1/agents/self/leases')
    assert.equal(poll?.headers['authorization'], `Bearer ${KEY}`)
    assert.deepEqual(asked.toSorted(), ['-9223372036854775808', '1', '9007199254740993', '9223372036854775807'])
    assert.deepEqual(answerback.delivered.get('t1')?.toSorted(), [
      '-9223372036854775808:true',
      '1:true',
      '9007199254740993:true',
      '9223372036854775807:true',
    ])
    assert.deepEqual(JSON.parse(answerback.ended.get('t1') ?? ''), { state: 'completed', unstored: [] })
  })

  it('finishes with the reasons of what it could not deliver', async () => {
    answerObject = (id, response) =>
      id === '2' ? json(response, 404, '{}') : json(response, id === '3' ? 400 : 200, `{"id":${id},"online":false}`)
    answerback.add({ token: 't1', ids: ['1', '2', '3'] })
    await start()
    await hasEnded('t1')
    assert.deepEqual(answerback.delivered.get('t1'), ['1:false'])
    assert.deepEqual(JSON.parse(answerback.ended.get('t1') ?? ''), {
      state: 'completed',
      unstored: [
        { id: 2, outcome: 'not_found' },
        { id: 3, outcome: 'failed', reason: 'http_400' },
      ],
    })
  })

  it('gives a callback back, charged, if the client service fails for one of its objects', async () => {
    answerObject = (id, response) => json(response, id === '2' ? 503 : 200, `{"id":${id},"online":true}`)
    answerback.add({ token: 't1', ids: ['1', '2'] })
    await start()
    await hasEnded('t1')
    const { state, unstored, charged } = JSON.parse(answerback.ended.get('t1') ?? '')
    assert.deepEqual(
      { state, unstored, charged },
      { state: 'pending', unstored: [{ id: 2, outcome: 'pending', reason: 'http_503' }], charged: true },
    )
    assert.deepEqual(answerback.delivered.get('t1'), ['1:true'])
  })

  it('waits for callbacks in one request, and leases again at once', async () => {
    await start()
    await eventually('it waits', () => answerback.polls === 1)
    answerback.add({ token: 't1', ids: ['1'] })
    answerback.add({ token: 't2', ids: ['2'] })
    await Promise.all([hasEnded('t1'), hasEnded('t2')])
    await eventually('it waits again', () => answerback.polls === 1)
    const [first, second] = answerback.requests(/leases$/).map(({ body }) => JSON.parse(body))
    assert.deepEqual(first, { wait_seconds: 0, max_callbacks: 100, max_objects: 1024, version: '1.0.0' })
    assert.equal(second.wait_seconds, 30)
  })

  it('repeats deliveries and the finish while Answerback is away, and stays in step with its Retry-After', async () => {
    let failures = 0
    answerback.intercept = ({ path }, response) => {
      if (!/^(PUT|PATCH)/.test(path) || ++failures > 4) return false
      if (failures === 1) response.socket?.destroy()
      else json(response, failures === 2 ? 429 : 503, '{"code":"overloaded"}', { 'retry-after': failures === 3 ? '1' : '0' })
      return true
    }
    answerback.add({ token: 't1', ids: ['1'] })
    await start()
    const started = performance.now()
    await hasEnded('t1')
    assert.ok(performance.now() - started >= 900)
    assert.deepEqual(answerback.delivered.get('t1'), ['1:true'])
    assert.match(await metrics(), /^answerback_failures_total\{reason="overloaded"\} 3$/m)
  })

  it('recalls the fetches of a lost lease and goes on', async () => {
    const held: ServerResponse[] = []
    answerObject = (id, response) => (id === '2' ? held.push(response) : json(response, 200, `{"id":${id},"online":true}`))
    answerback.add({ token: 't1', ids: ['1', '2'] })
    answerback.intercept = ({ path }) => {
      if (path.startsWith('PUT /v1/leases/t1')) answerback.lapse('t1')
      return false
    }
    await start()
    await eventually('the lease is lost', async () => /^leases_ended_total\{state="lost"\} 1$/m.test(await metrics()))
    answerback.add({ token: 't2', ids: ['3'] })
    await hasEnded('t2')
    assert.equal(answerback.requests(/t1/).length, 1)
    assert.ok(!agent.log.some(({ level }) => level === 'error' || level === 'warn'))
  })

  it('keeps a lease while its fetches take long', async () => {
    answerObject = (id, response) => setTimeout(() => json(response, 200, `{"id":${id},"online":true}`), 1500)
    answerback.add({ token: 't1', ids: ['1'], seconds: 1 })
    await start()
    await hasEnded('t1')
    const extensions = answerback.requests(/^PATCH/).filter(({ body }) => body.includes('extend_seconds'))
    assert.ok(extensions.length >= 2, `${extensions.length} extensions`)
    assert.deepEqual(JSON.parse(extensions[0]?.body ?? ''), { extend_seconds: 1 })
  })

  it('gives back what is not done when it stops, uncharged, and exits with 0', async () => {
    answerObject = (id, response) => (id === '2' ? undefined : json(response, 200, `{"id":${id},"online":true}`))
    answerback.add({ token: 't1', ids: ['1', '2'] })
    await start()
    await eventually('one is delivered', () => answerback.delivered.has('t1'))
    const started = performance.now()
    await agent.stop('SIGTERM')
    assert.equal(agent.exitCode, 0)
    assert.ok(performance.now() - started < 3000)
    assert.deepEqual(JSON.parse(answerback.ended.get('t1') ?? ''), {
      state: 'pending',
      unstored: [{ id: 2, outcome: 'pending', reason: 'interrupted' }],
      charged: false,
      retry_after_seconds: 0,
    })
    assert.equal(answerback.polls, 0)
  })

  it('goes on after it was frozen and has lost all it held', async () => {
    const held: ServerResponse[] = []
    answerObject = (_id, response) => held.push(response)
    answerback.add({ token: 't1', ids: ['1'], seconds: 1 })
    await start()
    await eventually('it fetches', () => held.length === 1)
    process.kill(agent.pid as number, 'SIGSTOP')
    answerback.lapse('t1')
    json(held[0] as ServerResponse, 200, '{"id":1,"online":true}')
    answerObject = (id, response) => json(response, 200, `{"id":${id},"online":true}`)
    process.kill(agent.pid as number, 'SIGCONT')
    answerback.add({ token: 't2', ids: ['2'] })
    await hasEnded('t2')
    await eventually('the lease is lost', async () => /^leases_ended_total\{state="lost"\} 1$/m.test(await metrics()))
    assert.ok(!answerback.delivered.has('t1'))
  })

  it('continues the trace of the callback, and keeps its request id', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    answerback.add({
      token: 't1',
      ids: ['1'],
      more: { traceparent: `00-${traceId}-b7ad6b7169203331-01`, request_id: 'r1', baggage: 'a=1' },
    })
    await start({ ZIPKIN_URL: `${answerback.url}/spans` })
    await hasEnded('t1')
    const uses = answerback.requests(/t1/)
    assert.equal(uses.length, 2)
    for (const { headers } of [...uses, ...fetches])
      assert.match(String(headers['traceparent']), new RegExp(`^00-${traceId}-(?!b7ad6b7169203331)`))
    assert.deepEqual([uses[0]?.headers['x-request-id'], fetches[0]?.headers['baggage']], ['r1', 'a=1'])
    await eventually('the spans come', () => spans().some(({ name }) => name === 'process callback'))
    const root = spans().find(({ name }) => name === 'process callback')
    assert.deepEqual([root?.parentId, root?.kind], ['b7ad6b7169203331', 'CONSUMER'])
    for (const name of ['fetch object', 'deliver objects', 'end lease'])
      assert.deepEqual([spans().find(span => span.name === name)?.parentId, name], [root?.id, name])
  })

  it('holds one callback to probe with while the client service is down, and notices soon that it is back', async () => {
    let isDown = true
    answerObject = (id, response) => {
      if (isDown) response.socket?.destroy()
      else json(response, 200, `{"id":${id},"online":true}`)
    }
    answerback.add(...Array.from({ length: 20 }, (_, i) => ({ token: `t${i}`, ids: [String(i)] })))
    await start({ FETCH_MAX_TRIES: '2', FETCH_MAX_HOLD_MS: '100', FETCH_BREAKER_OPEN_MS: '100', FETCH_BREAKER_MAX_OPEN_MS: '100' })
    await eventually('it gave back all but one', () => answerback.ended.size === 19)
    const given = [...answerback.ended.values()].map(body => JSON.parse(body))
    assert.ok(given.every(({ state, charged }) => state === 'pending' && charged === false))
    assert.equal(JSON.parse(await (await fetch(`${agent.adminUrl}/readyz`)).text()).status, 'degraded')
    const probes = asked.length
    await eventually('it probes', () => asked.length > probes + 2)
    assert.equal(answerback.ended.size, 19)
    isDown = false
    await eventually('the last one is finished', () => answerback.ended.size === 20)
    assert.equal([...answerback.delivered.values()].flat().length, 1)
  })

  it('stops in time although Answerback hangs', async () => {
    answerObject = () => undefined
    answerback.add({ token: 't1', ids: ['1'] })
    await start({ SHUTDOWN_TIMEOUT_MS: '2000' })
    await eventually('it fetches', () => asked.length === 1)
    answerback.intercept = () => true
    await agent.stop('SIGTERM')
    assert.equal(agent.exitCode, 0)
    assert.ok(agent.log.some(({ msg }) => msg === 'leases not given back in time: they lapse'))
  })

  it('says whether it reaches Answerback, and recovers', async () => {
    answerback.intercept = (_request, response) => {
      json(response, 401, '{"code":"unauthorized"}')
      return true
    }
    await start()
    const health = async (): Promise<unknown> => (await fetch(`${agent.adminUrl}/readyz`)).json()
    await eventually('it is unavailable', async () => JSON.stringify(await health()).includes('"unauthorized"'))
    answerback.intercept = () => false
    await eventually('it is ready', async () => (await fetch(`${agent.adminUrl}/readyz`)).status === 200)
    assert.match(await metrics(), /^answerback_reachable 1$/m)
    assert.equal(agent.log.filter(({ msg }) => msg === 'callback service gives no leases').length, 1)
  })
})
