import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { range, readMetrics } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { type Lease, Plant } from '../support/plant.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'

const LEASE_SECONDS = 1

describe('faults around leases', function () {
  this.timeout(60_000)
  let system: System
  let plant: Plant
  let agent: string

  beforeEach(async () => {
    system = await startSystem({ callback: { AGENTS_LEASE_SECONDS: `${LEASE_SECONDS}` } })
    plant = await Plant.open(system.callbackUrl)
    agent = (await plant.newAgent('first')).id
  })

  afterEach(() => system.stop())

  const startReplica = async (): Promise<ServiceProcess> => (await system.startCallbackService()).ready()
  const stored = async (): Promise<number> => (await system.db.query('SELECT FROM objects')).rowCount ?? 0
  const complete = async (lease: Lease): Promise<void> => {
    assert.equal((await plant.deliver(lease)).status, 200)
    assert.equal((await plant.patch(lease, { state: 'completed' })).status, 200)
  }

  it('a replica killed between the delivery and the end: any other one takes the end', async () => {
    const other = await startReplica()
    const id = await plant.accept(range(1, 20))
    const lease = await plant.lease(agent)
    assert.equal((await plant.deliver(lease)).status, 200)
    await system.callbackService.stop('SIGKILL')
    plant.url = other.url
    assert.equal((await plant.patch(lease, { state: 'completed' })).status, 200)
    const { state, attempts } = await plant.callback(id)
    assert.deepEqual([state, attempts, await stored()], ['completed', 1, 20])
  })

  it('an agent that leases and does nothing: another gets the callback, uncharged, and the first can change nothing', async () => {
    const second = (await plant.newAgent('second')).id
    const id = await plant.accept([1])
    const lost = await plant.lease(agent)
    const began = performance.now()
    const lease = await plant.lease(second)
    const waitedMs = performance.now() - began
    assert.ok(waitedMs > LEASE_SECONDS * 500 && waitedMs < LEASE_SECONDS * 1000 + 3000, `leased again after ${waitedMs} ms`)
    for (const answer of [await plant.deliver(lost, [1], false), await plant.patch(lost, { state: 'completed' })])
      assert.deepEqual([answer.status, answer.code], [410, 'lease_lost'])
    await complete(lease)
    const { state, attempts } = await plant.callback(id)
    assert.deepEqual([state, attempts], ['completed', 1])
    assert.deepEqual((await system.db.query('SELECT online FROM objects')).rows, [{ online: true }])
  })

  it('an agent that leases one callback and never does anything: callbacks of others are not held up', async () => {
    const second = (await plant.newAgent('second')).id
    await plant.accept([1])
    await plant.lease(agent)
    const ids = []
    for (const objectId of range(2, 20)) {
      ids.push(await plant.accept([objectId]))
      await complete(await plant.lease(second))
    }
    const states = await Promise.all(ids.map(async id => (await plant.callback(id)).state))
    assert.ok(states.filter(state => state === 'completed').length >= 19, `${states}`)
  })

  it('half a body: nothing of it is stored, and the whole one counts', async () => {
    await plant.accept(range(1, 10))
    const lease = await plant.lease(agent)
    const body = JSON.stringify({ objects: range(1, 10).map(id => ({ id, online: true })) })
    const socket = connect(Number(new URL(plant.url).port), '127.0.0.1')
    await once(socket, 'connect')
    const head = `PUT ${lease.objects} HTTP/1.1\r\nHost: a\r\nX-Workspace: plant\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    socket.write(head + body.slice(0, body.length / 2))
    // The service has the request when it counts it as active, or at the latest when it answers the next one of this agent.
    assert.equal((await plant.ask('GET', lease.location)).status, 200)
    socket.resetAndDestroy()
    assert.equal(await stored(), 0)
    await complete(lease)
    assert.equal(await stored(), 10)
  })

  it('64 MB as a delivery: refused without being read into memory, and the lease lives', async () => {
    await plant.accept([1])
    const lease = await plant.lease(agent)
    assert.equal((await plant.patch(lease, { extend_seconds: 60 })).status, 200)
    const rss = async (): Promise<number> => (await readMetrics(system.callbackAdminUrl)).total('process_resident_memory_bytes')
    const before = await rss()
    const status = await fetch(`${plant.url}${lease.objects}`, {
      method: 'PUT',
      headers: { 'x-workspace': 'plant', 'content-type': 'application/json' },
      body: Buffer.alloc(64 * 1024 * 1024, ' '),
    }).then(
      response => response.status,
      // The service may close the connection before everything is sent.
      () => 413,
    )
    assert.equal(status, 413)
    assert.ok((await rss()) - before < 48 * 1024 * 1024, 'the body was not kept')
    await complete(lease)
  })

  it('SIGTERM with 100 waiting polls: each is answered with 204 within a second', async () => {
    const agents = await Promise.all(range(0, 20).map(async i => (await plant.newAgent(`agent ${i}`)).id))
    const polls = agents.flatMap(id => range(0, 5).map(() => plant.poll(id, { wait_seconds: 60 })))
    await until(async () => (await readMetrics(system.callbackAdminUrl)).total('agent_polls_waiting') === 100)
    const asked = performance.now()
    const stopped = system.callbackService.stop('SIGTERM')
    const answers = await Promise.all(polls)
    const tookMs = performance.now() - asked
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([204]))
    assert.ok(tookMs < 1000, `${tookMs} ms`)
    assert.equal(await stopped, 0)
  })
})
