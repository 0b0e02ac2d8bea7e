import assert from 'node:assert/strict'
import type { PrismaClient } from '#prisma'
import { grantLeases, newLeaseToken, returnLeases, type WantedLease } from '../../../adapters/postgres/lease-grants.ts'
import type { KnownAgent } from '../../../domain/agents/agent.ts'
import { changeRow, putAgent, putWorkspace, readLeased } from './agents-fixture.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const TERM = { leaseSeconds: 30 }

describe('grantLeases', () => {
  let storage: TestStorage
  let prisma: PrismaClient
  let agent: KnownAgent

  before(async () => {
    storage = await openTestStorage()
    prisma = storage.open().prisma
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, agents')
    await putWorkspace(storage, 'plant')
    agent = await putAgent(storage)
  })

  after(() => storage.close())

  const due = (options: Parameters<typeof putCallback>[1] = {}) => putCallback(storage, { workspace: 'plant', ...options })
  const wanted = (callbackId: string, by = agent): WantedLease => ({ token: newLeaseToken(), callbackId, agent: by })

  async function isGiven(callbackId: string, by = agent): Promise<boolean> {
    return (await grantLeases(prisma, [wanted(callbackId, by)], TERM)).length === 1
  }

  it('writes the lease into the row, and returns what the agent needs', async () => {
    const id = await due({ objectIds: [9_007_199_254_740_993n, -7n] })
    await changeRow(storage, id, `request_id = 'r', traceparent = 't', baggage = 'b'`)
    const asked = wanted(id)
    const [lease] = await grantLeases(prisma, [asked], TERM)
    assert.ok(lease)
    assert.deepEqual(
      [lease.token, lease.agentId, lease.callbackId, lease.workspace, lease.attempt, lease.requestId],
      [asked.token, agent.id, id, 'plant', 1, 'r'],
    )
    assert.deepEqual(lease.objectIds, [9_007_199_254_740_993n, -7n])
    assert.deepEqual(lease.trace, { traceparent: 't', tracestate: undefined, baggage: 'b' })
    assert.equal(lease.expiresAt.getTime() - lease.leasedAt.getTime(), 30_000)
    assert.ok(lease.expiresInMs > 25_000 && lease.expiresInMs <= 30_000, `${lease.expiresInMs}`)
    assert.ok(lease.leasedAt >= lease.receivedAt)
    const row = await readLeased(storage, id)
    assert.deepEqual([row.state, row.attempts, row.agent_id, row.claim_token, row.claimed_by], ['running', 1, agent.id, asked.token, null])
  })

  it('asks again only for what earlier leases left open', async () => {
    const id = await due({ objectIds: [1n, 2n, 3n] })
    await changeRow(storage, id, `unstored = '[{"id":"2","outcome":"not_found"},{"id":"3","outcome":"pending"}]'`)
    const [lease] = await grantLeases(prisma, [wanted(id)], TERM)
    assert.deepEqual(lease?.objectIds, [3n])
  })

  it('gives a callback to one of two replicas', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => due()))
    const other = storage.open().prisma
    const results = await Promise.all([
      grantLeases(
        prisma,
        ids.map(id => wanted(id)),
        TERM,
      ),
      grantLeases(
        other,
        ids.toReversed().map(id => wanted(id)),
        TERM,
      ),
    ])
    const given = results.flat().map(({ callbackId }) => callbackId)
    assert.deepEqual(given.toSorted(), [...new Set(given)].toSorted())
    assert.equal(given.length, 20)
  })

  it('gives no callback that a worker has, that is paused, finished or not due', async () => {
    const rows = [
      "claimed_by = 1, state = 'running'",
      `state = 'paused'`,
      `state = 'completed', finished_at = now()`,
      `due_at = now() + interval '1 s'`,
    ]
    for (const set of rows) {
      const id = await due()
      await changeRow(storage, id, set)
      assert.equal(await isGiven(id), false, set)
    }
  })

  it('gives nothing to an archived agent, or one of another workspace', async () => {
    const id = await due()
    assert.equal(await isGiven(id, await putAgent(storage, { isArchived: true })), false)
    assert.equal(await isGiven(id, await putAgent(storage, { workspace: 'lab' })), false)
  })

  it('gives nothing while the workspace is paused, or the service fetches its objects', async () => {
    const id = await due()
    await putWorkspace(storage, 'plant', { paused: true })
    assert.equal(await isGiven(id), false)
    await putWorkspace(storage, 'plant', { fetcher: null })
    assert.equal(await isGiven(id), false)
  })

  it('needs all labels of the callback, or of the workspace if the callback has none of its own', async () => {
    await putWorkspace(storage, 'plant', { labels: ['hall=1'] })
    const id = await due()
    assert.equal(await isGiven(id), false)
    await changeRow(storage, id, `agent_labels = '{}'`)
    assert.equal(await isGiven(id), true)
    const other = await due()
    await changeRow(storage, other, `agent_labels = '{a,b}'`)
    assert.equal(await isGiven(other, await putAgent(storage, { labels: ['a', 'hall=1'] })), false)
    assert.equal(await isGiven(other, await putAgent(storage, { labels: ['b', 'c', 'a'] })), true)
  })

  it('gives an assigned callback to its agent alone, whatever the labels', async () => {
    const id = await due()
    await changeRow(storage, id, `assigned_to = '${agent.id}', agent_labels = '{nobody}'`)
    assert.equal(await isGiven(id, await putAgent(storage, { labels: ['nobody'] })), false)
    assert.equal(await isGiven(id), true)
  })

  it('does not wait for a row that another statement has locked', async () => {
    const id = await due()
    await storage.duringTransaction('SELECT FROM callbacks WHERE id = $1 FOR UPDATE', [id], async () => {
      assert.equal(await isGiven(id), false)
    })
    assert.equal(await isGiven(id), true)
  })

  describe('returnLeases', () => {
    it('puts a callback back as if it had never been leased', async () => {
      const id = await due()
      const leases = await grantLeases(prisma, [wanted(id)], TERM)
      await returnLeases(prisma, leases)
      const row = await readLeased(storage, id)
      assert.deepEqual([row.state, row.attempts, row.returns, row.agent_id, row.claim_token], ['pending', 0, 0, null, null])
      assert.equal(await isGiven(id), true)
    })

    it('changes nothing if a newer lease has the callback', async () => {
      const id = await due()
      const old = wanted(id)
      await grantLeases(prisma, [old], TERM)
      await returnLeases(prisma, [old])
      const [lease] = await grantLeases(prisma, [wanted(id)], TERM)
      await returnLeases(prisma, [old])
      assert.equal((await readLeased(storage, id)).claim_token, lease?.token)
    })

    it('cancels a callback that somebody wants cancelled', async () => {
      const id = await due()
      const leases = await grantLeases(prisma, [wanted(id)], TERM)
      await changeRow(storage, id, `wish = 'cancel'`)
      await returnLeases(prisma, leases)
      const row = await readLeased(storage, id)
      assert.deepEqual([row.state, row.is_finished, row.wish], ['cancelled', true, null])
    })
  })
})
