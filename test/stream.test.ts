import assert from 'node:assert/strict'
import { once } from 'node:events'
import { eventually, until } from './support/eventually.ts'
import type { ServiceProcess } from './support/service-process.ts'
import { StreamClient } from './support/stream-client.ts'
import { type System, startSystem } from './support/system.ts'

describe('the stream', function () {
  this.timeout(60_000)
  let system: System
  let second: ServiceProcess
  let clients: StreamClient[]

  before(async () => {
    system = await startSystem({ callback: { SHUTDOWN_DELAY_MS: '0' } })
    second = await (await system.startCallbackService()).ready()
  })

  beforeEach(() => {
    clients = []
  })

  afterEach(() => {
    for (const client of clients) client.close()
  })

  after(() => system.stop())

  function listen(url: string, query: Readonly<Record<string, string>> = {}): StreamClient {
    const client = new StreamClient(url, query)
    clients.push(client)
    return client
  }

  async function send(url: string, objectIds: readonly number[] = [1, 2]): Promise<string> {
    const response = await fetch(`${url}/callback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ object_ids: objectIds }),
    })
    assert.equal(response.status, 202)
    return ((await response.json()) as { id: string }).id
  }

  it('says at every replica what becomes of a callback of any replica', async () => {
    const both = [listen(system.callbackUrl), listen(second.url)]
    await until(() => both.every(({ isCurrent }) => isCurrent))
    const ids = [await send(system.callbackUrl), await send(second.url)]
    await until(() => both.every(({ states }) => ids.every(id => states.get(id) === 'completed')))
  })

  it('goes on at another replica from the cursor of the first, without a gap', async () => {
    const before = listen(system.callbackUrl)
    await until(() => before.isCurrent)
    const seen = await send(system.callbackUrl)
    await until(() => before.states.get(seen) === 'completed')
    before.close()
    const missed = await Promise.all(Array.from({ length: 20 }, () => send(system.callbackUrl)))
    await until(async () => {
      const { rows } = await system.db.query(`SELECT FROM callbacks WHERE state <> 'completed'`)
      return rows.length === 0
    })
    const after = listen(second.url, { cursor: before.cursor as string })
    await until(() => after.isCurrent)
    assert.deepEqual(
      missed.map(id => after.states.get(id)),
      missed.map(() => 'completed'),
    )
  })

  it('has a cursor even if there was nothing to say', async () => {
    const client = listen(second.url, { workspace_id: 'default', object_id: '987654321' })
    await until(() => client.isCurrent)
    assert.deepEqual(
      client.messages[0]?.map(({ kind }) => kind),
      ['Cursor'],
    )
  })

  it('says only what concerns its filter', async () => {
    const client = listen(system.callbackUrl, { object_id: '4711', state: 'completed' })
    await until(() => client.isCurrent)
    await send(second.url, [1])
    const id = await send(second.url, [2, 4711])
    await until(() => client.states.get(id) === 'completed')
    assert.deepEqual([...client.states.keys()], [id])
  })

  it('counts its clients, and is closed with 1001 when the service stops', async () => {
    const third = await (await system.startCallbackService()).ready()
    const client = listen(third.url)
    await once(client.socket, 'open')
    await eventually('it counts', async () => (await (await fetch(`${third.adminUrl}/metrics`)).text()).includes('\nstream_clients 1\n'))
    const closed = client.closed()
    assert.equal(await third.stop(), 0)
    assert.equal(await closed, 1001)
  })

  it('stays open while the database ends all connections, and has no gap', async () => {
    const client = listen(system.callbackUrl)
    await until(() => client.isCurrent)
    await system.db.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    )
    const id = await until(() => send(second.url).catch(() => undefined))
    await until(() => client.states.get(id) === 'completed')
  })

  it('sends everybody away with 4410 when the clock steps', async () => {
    const client = listen(system.callbackUrl)
    await until(() => client.isCurrent)
    const closed = client.closed()
    await system.db.query('INSERT INTO clock_steps (number, step_ms) VALUES (1, -5000)')
    assert.equal(await closed, 4410)
    const late = listen(system.callbackUrl, { cursor: client.cursor as string })
    assert.equal(await late.closed(), 4410)
  })

  it('refuses a cursor of another workspace, and garbage', async () => {
    const client = listen(system.callbackUrl)
    await until(() => client.isCurrent)
    for (const cursor of ['x', `${client.cursor}A`, Buffer.from('AAAAAAAA 1 0').toString('base64url')]) {
      const late = listen(system.callbackUrl, { cursor })
      const [, response] = (await once(late.socket, 'unexpected-response')) as [unknown, { statusCode: number }]
      assert.equal(response.statusCode, 400)
    }
  })
})
