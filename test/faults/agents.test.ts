import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { range, readMetrics } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { Plant } from '../support/plant.ts'
import { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const LEASE_SECONDS = 3

type Respond = (id: number, response: ServerResponse) => void

describe('faults of agents', function () {
  this.timeout(60_000)
  let system: System
  let plant: Plant
  let key: string
  let client: Server
  /** How often each object was asked for. */
  let asked: Map<number, number>
  let respond: Respond
  let agents: ServiceProcess[]

  beforeEach(async () => {
    system = await startSystem({ callback: { AGENTS_LEASE_SECONDS: `${LEASE_SECONDS}` } })
    plant = await Plant.open(system.callbackUrl)
    key = (await plant.newAgent('first')).key
    asked = new Map()
    agents = []
    respond = online
    client = createServer((request, response) => {
      const id = Number(request.url?.split('/').at(-1))
      asked.set(id, (asked.get(id) ?? 0) + 1)
      respond(id, response)
    })
    await once(client.listen(0, '127.0.0.1'), 'listening')
  })

  afterEach(async () => {
    for (const agent of agents) agent.signal('SIGCONT')
    await Promise.all(agents.map(agent => agent.stop()))
    client.close().closeAllConnections()
    await system.stop()
  })

  const startAgent = async (answerbackUrl = system.callbackUrl, agentKey = key): Promise<ServiceProcess> => {
    const agent = await ServiceProcess.start('agent', {
      ANSWERBACK_URL: answerbackUrl,
      AGENT_KEY: agentKey,
      CLIENT_SERVICE_URL: `http://127.0.0.1:${(client.address() as AddressInfo).port}`,
      ZIPKIN_URL: '',
    })
    agents.push(agent)
    return agent
  }

  it('killed after half of the objects: the next agent fetches only the other half', async () => {
    respond = (id, response) => id <= 10 && online(id, response)
    const first = await startAgent()
    const id = await plant.accept(range(1, 20))
    await until(async () => (await system.db.query('SELECT FROM callbacks WHERE cardinality(delivered) = 10')).rowCount === 1)
    await first.stop('SIGKILL')
    respond = online
    await startAgent()
    const { state, attempts } = await plant.finished(id)
    assert.deepEqual([state, attempts], ['completed', 1])
    assert.deepEqual(
      range(1, 10).map(objectId => asked.get(objectId)),
      range(1, 10).map(() => 1),
    )
  })

  it('frozen beyond its lease: what it delivers when it wakes overwrites nothing, and it goes on working', async () => {
    const second = (await plant.newAgent('second')).key
    const first = await startAgent()
    // The first answer is on its way while the agent is frozen. By the second request the object has come online.
    respond = (_, response) => {
      first.signal('SIGSTOP')
      respond = online
      answer(1, false, response)
    }
    const id = await plant.accept([1])
    await until(() => asked.get(1) === 1)
    const heir = await startAgent(system.callbackUrl, second)
    assert.equal((await plant.finished(id)).state, 'completed')
    await heir.stop()
    const lost = await lostLeases()
    first.signal('SIGCONT')
    await until(async () => (await lostLeases()) > lost)
    const { rows } = await system.db.query('SELECT online FROM objects')
    assert.deepEqual(rows, [{ online: true }])
    assert.equal((await plant.finished(await plant.accept([2]))).state, 'completed')
  })

  it('two with one key: they share the work, and fetch nothing twice', async () => {
    await Promise.all([startAgent(), startAgent()])
    const ids = await Promise.all(range(0, 40).map(i => plant.accept(range(1 + 3 * i, 3))))
    for (const id of ids) {
      const { state, attempts } = await plant.finished(id)
      assert.deepEqual([state, attempts], ['completed', 1])
    }
    assert.deepEqual([...asked.values()], Array(120).fill(1))
  })

  it('its replica is killed while it waits: it gets the next callback from another one within seconds', async () => {
    const other = await (await system.startCallbackService()).ready()
    const proxy = new TcpProxy(() => (system.callbackService.hasEnded ? other.url : system.callbackUrl))
    await proxy.start()
    try {
      await startAgent(proxy.url)
      await until(async () => (await readMetrics(system.callbackAdminUrl)).total('agent_polls_waiting') > 0)
      await system.callbackService.stop('SIGKILL')
      plant.url = other.url
      const sent = performance.now()
      assert.equal((await plant.finished(await plant.accept([1]))).state, 'completed')
      assert.ok(performance.now() - sent < 5000, `${performance.now() - sent} ms`)
    } finally {
      await proxy.stop()
    }
  })

  it('SIGTERM while it fetches: it gives back what it has, uncharged, and ends in time', async () => {
    respond = (id, response) => id === 1 && online(id, response)
    const agent = await startAgent()
    const id = await plant.accept([1, 2])
    await until(async () => (await system.db.query('SELECT FROM callbacks WHERE cardinality(delivered) = 1')).rowCount === 1)
    assert.equal(await agent.stop(), 0)
    const { rows } = await system.db.query('SELECT state, attempts, agent_id FROM callbacks')
    assert.deepEqual(rows, [{ state: 'pending', attempts: 0, agent_id: null }])
    respond = online
    await startAgent()
    assert.equal((await plant.finished(id)).state, 'completed')
    assert.deepEqual([asked.get(1), asked.get(2)], [1, 2])
  })

  /** Number of requests that were answered with 410. */
  async function lostLeases(): Promise<number> {
    const text = await (await fetch(`${system.callbackAdminUrl}/metrics`)).text()
    return text
      .split('\n')
      .filter(line => line.startsWith('http_server_request_duration_seconds_count') && line.includes('410'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
})

function online(id: number, response: ServerResponse): void {
  answer(id, true, response)
}

function answer(id: number, isOnline: boolean, response: ServerResponse): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ id, online: isOnline }))
}
