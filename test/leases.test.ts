import assert from 'node:assert/strict'
import { accept } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import { type System, startSystem } from './support/system.ts'

interface LeaseList {
  readonly kind: string
  readonly size: number
  readonly items: readonly {
    readonly location: string
    readonly objects: string
    readonly expires_in_seconds: number
    readonly traceparent: string
  }[]
}

describe('leases of agents', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem()
    await send('POST', '/v1/workspaces', { name: 'plant', fetcher: 'agents' })
  })

  after(() => system.stop())

  async function send(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly text: string }> {
    const response = await fetch(`${system.callbackUrl}${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return { status: response.status, text: await response.text() }
  }

  async function makeAgent(name: string): Promise<string> {
    const { status, text } = await send('POST', '/v1/agents?workspace_id=plant', { name })
    assert.equal(status, 201, text)
    return JSON.parse(text).id
  }

  const poll = (agent: string, body: object) => send('POST', `/v1/agents/${agent}/leases?workspace_id=plant`, body)
  const post = (ids: readonly (number | string)[]) => accept(system.callbackUrl, ids, { 'x-workspace': 'plant' })

  async function pollsWait(count: number): Promise<void> {
    await until(async () => (await (await fetch(`${system.callbackAdminUrl}/metrics`)).text()).includes(`\nagent_polls_waiting ${count}\n`))
  }

  it('give a callback to an agent that waits for it, and to no worker', async () => {
    const waiting = poll(await makeAgent('first'), { wait_seconds: 20 })
    await pollsWait(1)
    const sentMs = performance.now()
    const id = await post([7, '9007199254740993'])
    const { status, text } = await waiting
    assert.ok(performance.now() - sentMs < 1000)
    assert.equal(status, 201)
    assert.ok(text.includes('"object_ids":[7,9007199254740993]'), text)
    assert.ok(!text.includes(id), 'the lease does not say which callback it is')
    const { size, items } = JSON.parse(text) as LeaseList
    assert.equal(size, 1)
    assert.match(items[0]?.location ?? '', /^\/v1\/leases\/[0-9a-f-]{36}\?workspace_id=plant$/)
    assert.match((await send('GET', `/v1/callbacks/${id}?workspace_id=plant`)).text, /"state":"running"/)
  })

  it('say at once that there is nothing, or after the time that the agent waits', async () => {
    const agent = await makeAgent('idle')
    assert.equal((await poll(agent, {})).status, 204)
    const started = performance.now()
    assert.equal((await poll(agent, { wait_seconds: 1 })).status, 204)
    assert.ok(performance.now() - started >= 990)
  })

  it('put a callback back when the time of its lease has passed, and give it to the next agent', async () => {
    const [lazy, busy] = [await makeAgent('lazy'), await makeAgent('busy')]
    const id = await post([1])
    assert.equal((await poll(lazy, { wait_seconds: 5 })).status, 201)
    await system.db.query(
      `UPDATE callbacks SET lease_expires_at = now() - interval '1 ms', leased_at = now() - interval '30 s' WHERE id = $1`,
      [id],
    )
    const { status, text } = await poll(busy, { wait_seconds: 10 })
    assert.equal(status, 201)
    assert.match(text, /"attempt":1,/)
    const { text: timeline } = await send('GET', `/v1/callbacks/${id}/timeline?workspace_id=plant`)
    const events = (JSON.parse(timeline) as { events: { event: string; agent?: string }[] }).events
    assert.deepEqual(
      events.map(({ event, agent }) => [event, agent]),
      [
        ['accepted', undefined],
        ['claimed', 'lazy'],
        ['lapsed', 'lazy'],
        ['claimed', 'busy'],
      ],
    )
  })

  it('name a callback that no living agent suits, while another agent works', async () => {
    const busy = await makeAgent('no-gpu')
    const [id, other] = [await post([1]), await post([2])]
    assert.equal((await send('PATCH', `/v1/callbacks/${id}?workspace_id=plant`, { agent_labels: ['gpu'] })).status, 200)
    assert.equal((await poll(busy, { wait_seconds: 5 })).status, 201)
    assert.match((await send('GET', `/v1/callbacks/${other}?workspace_id=plant`)).text, /"state":"running"/)
    const lightOf = async (): Promise<{ state: string; text: string }> => {
      const { lights } = (await (await fetch(`${system.callbackAdminUrl}/activity`)).json()) as {
        lights: { name: string; state: string; text: string }[]
      }
      return lights.find(({ name }) => name === 'agents') ?? assert.fail('no light')
    }
    assert.doesNotMatch((await lightOf()).text, /suits/)
    await system.db.query(`UPDATE callbacks SET due_at = now() - interval '2 min' WHERE id = $1`, [id])
    await until(
      async () => (await lightOf()).text.startsWith(`1 callback is waiting in plant, and no living agent suits it. Callback ${id} `),
      25_000,
    )
    assert.equal((await lightOf()).state, 'warn')
    assert.match(await (await fetch(`${system.callbackAdminUrl}/metrics`)).text(), /\ncallbacks_unsuited 1\n/)
    const gpu = JSON.parse((await send('POST', '/v1/agents?workspace_id=plant', { name: 'gpu', labels: ['gpu'] })).text).id
    assert.equal((await poll(gpu, { wait_seconds: 5 })).status, 201)
    await until(async () => (await lightOf()).state === 'ok', 25_000)
  })

  it('end a poll at once when the service stops', async () => {
    const second = await (await system.startCallbackService()).ready()
    const agent = await makeAgent('stopped')
    const waiting = fetch(`${second.url}/v1/agents/${agent}/leases?workspace_id=plant`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"wait_seconds":60}',
    })
    await until(async () => (await (await fetch(`${second.adminUrl}/metrics`)).text()).includes('\nagent_polls_waiting 1\n'))
    const started = performance.now()
    await Promise.all([second.stop(), waiting.then(({ status }) => assert.equal(status, 204))])
    assert.ok(performance.now() - started < 5000)
  })
})
