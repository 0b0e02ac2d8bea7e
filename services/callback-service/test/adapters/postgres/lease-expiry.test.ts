import assert from 'node:assert/strict'
import type { PrismaClient } from '#prisma'
import { endLeases } from '../../../adapters/postgres/lease-expiry.ts'
import { grantLeases, newLeaseToken } from '../../../adapters/postgres/lease-grants.ts'
import type { KnownAgent } from '../../../domain/agents/agent.ts'
import { changeRow, putAgent, putWorkspace, readLeased } from './agents-fixture.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const LAPSED = `lease_expires_at = now() - interval '1 ms', leased_at = now() - interval '30 s'`

describe('endLeases', () => {
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
    agent = await putAgent(storage, { name: 'hall 1' })
  })

  after(() => storage.close())

  /** Leases a callback. @param set changes of its row after that */
  async function leased(set: string | undefined, objectIds = [1n, 2n, 3n]): Promise<string> {
    const id = await putCallback(storage, { workspace: 'plant', objectIds })
    await leaseAgain(id)
    if (set !== undefined) await changeRow(storage, id, set)
    return id
  }

  async function leaseAgain(id: string): Promise<void> {
    const given = await grantLeases(prisma, [{ token: newLeaseToken(), callbackId: id, agent }], { leaseSeconds: 30 })
    assert.equal(given.length, 1)
  }

  it('leaves live leases alone, and callbacks that a worker has', async () => {
    const live = await leased(undefined)
    const worked = await putCallback(storage, { workspace: 'plant' })
    await changeRow(storage, worked, `state = 'running', claimed_by = 1, claim_token = gen_random_uuid(), wish = 'cancel'`)
    assert.deepEqual(await endLeases(prisma, 100), [])
    assert.equal((await readLeased(storage, live)).state, 'running')
  })

  it('leaves a lease alone that was given after the sweep began, and before it looked at the row', async () => {
    const id = await putCallback(storage, { workspace: 'plant' })
    const ended = await prisma.$transaction(async sweep => {
      // The time of a transaction is that of its first statement.
      await sweep.$queryRaw`SELECT now()`
      await leaseAgain(id)
      return endLeases(sweep as PrismaClient, 100)
    })
    assert.deepEqual(ended, [])
    assert.equal((await readLeased(storage, id)).state, 'running')
  })

  it('puts a callback back, uncharged, with an entry in its timeline', async () => {
    const id = await leased(LAPSED)
    const [ended] = await endLeases(prisma, 100)
    assert.deepEqual(
      [ended?.callbackId, ended?.workspace, ended?.agentId, ended?.attempt, ended?.state, ended?.hasLapsed, ended?.objects],
      [id, 'plant', agent.id, 1, 'pending', true, 3],
    )
    const row = await readLeased(storage, id)
    assert.deepEqual(
      [row.state, row.attempts, row.returns, row.agent_id, row.claim_token, row.unstored],
      ['pending', 0, 1, null, null, null],
    )
    const [entry] = row.timeline ?? []
    assert.deepEqual(
      [entry?.event, entry?.agent, entry?.state, entry?.attempt, entry?.counts],
      ['lapsed', 'hall 1', 'pending', 1, { stored: 0 }],
    )
    assert.deepEqual(await endLeases(prisma, 100), [])
  })

  it('keeps what was delivered, and asks only for the rest', async () => {
    const id = await leased(`${LAPSED}, delivered = '{1,3}', returns = 2`)
    await endLeases(prisma, 100)
    const row = await readLeased(storage, id)
    assert.deepEqual(row.unstored, [{ id: '2', outcome: 'pending' }])
    assert.equal(row.returns, 0)
  })

  it('keeps the final outcomes of earlier leases', async () => {
    const open = [
      { id: '1', outcome: 'not_found' },
      { id: '2', outcome: 'pending' },
      { id: '9007199254740993', outcome: 'pending' },
    ]
    const id = await leased(`${LAPSED}, delivered = '{9007199254740993}', unstored = '${JSON.stringify(open)}'`, [
      1n,
      2n,
      9_007_199_254_740_993n,
    ])
    await endLeases(prisma, 100)
    assert.deepEqual((await readLeased(storage, id)).unstored, open.slice(0, 2))
  })

  it('lets nothing be asked for any more if everything was delivered', async () => {
    const id = await leased(`${LAPSED}, delivered = '{1,2,3}'`)
    await endLeases(prisma, 100)
    assert.deepEqual((await readLeased(storage, id)).unstored, [])
  })

  it('puts a callback back at once three times, and then makes it wait longer and longer, but at most five minutes', async () => {
    const id = await leased(undefined)
    const waits: number[] = []
    for (let i = 0; i < 6; i += 1) {
      await changeRow(storage, id, LAPSED)
      await endLeases(prisma, 100)
      waits.push(Math.round((await readLeased(storage, id)).due_in_ms / 1000))
      await changeRow(storage, id, 'due_at = now()')
      await leaseAgain(id)
    }
    assert.deepEqual(waits.map(Math.abs), [0, 0, 0, 1, 2, 4])
    await changeRow(storage, id, `${LAPSED}, returns = 1000`)
    await endLeases(prisma, 100)
    const row = await readLeased(storage, id)
    assert.deepEqual([Math.round(row.due_in_ms / 1000), row.returns, row.attempts], [300, 1000, 0])
  })

  it('pauses or cancels a callback as somebody wished, also while its lease is live', async () => {
    const paused = await leased(`wish = 'pause'`)
    const cancelled = await leased(`wish = 'cancel'`)
    const ended = await endLeases(prisma, 100)
    assert.deepEqual(ended.map(({ state, hasLapsed }) => [state, hasLapsed]).toSorted(), [
      ['cancelled', false],
      ['paused', false],
    ])
    const [one, other] = [await readLeased(storage, paused), await readLeased(storage, cancelled)]
    assert.deepEqual([one.state, one.wish, one.returns, one.is_finished, one.timeline?.[0]?.event], ['paused', null, 0, false, 'recalled'])
    assert.deepEqual([other.state, other.wish, other.is_finished], ['cancelled', null, true])
  })

  it('tells readers of changes that a callback was paused', async () => {
    const id = await leased(`wish = 'pause', steered_at = NULL`)
    await endLeases(prisma, 100)
    const rows = await storage.query('SELECT steered_at IS NOT NULL AS is_steered FROM callbacks WHERE id = $1', [id])
    assert.deepEqual(rows, [{ is_steered: true }])
  })

  it('counts attempts without crashes, and says in the timeline what was stored', async () => {
    const id = await leased(`${LAPSED}, attempts = 5, crashes = 2, delivered = '{1,3}'`)
    const [ended] = await endLeases(prisma, 100)
    assert.equal(ended?.attempt, 3)
    const [entry] = (await readLeased(storage, id)).timeline ?? []
    assert.deepEqual([entry?.attempt, entry?.counts], [3, { stored: 2 }])
  })

  it('does not wait for a row that somebody else has locked', async () => {
    const locked = await leased(LAPSED)
    const free = await leased(LAPSED)
    const ended = await prisma.$transaction(async holder => {
      await holder.$queryRaw`SELECT FROM callbacks WHERE id = ${locked}::uuid FOR UPDATE`
      return endLeases(storage.open().prisma, 100)
    })
    assert.deepEqual(
      ended.map(({ callbackId }) => callbackId),
      [free],
    )
  })

  it('ends a lease that somebody took away, and holds it against nobody', async () => {
    const id = await leased('lease_expires_at = leased_at')
    const [ended] = await endLeases(prisma, 100)
    assert.equal(ended?.hasLapsed, false)
    const row = await readLeased(storage, id)
    assert.deepEqual([row.state, row.returns, row.timeline?.[0]?.event], ['pending', 0, 'taken_away'])
  })

  it('ends a lease that lies in the future, because the clock was put back', async () => {
    const id = await leased(`leased_at = now() + interval '1 h', lease_expires_at = now() + interval '2 h'`)
    assert.equal((await endLeases(prisma, 100)).length, 1)
    const row = await readLeased(storage, id)
    assert.deepEqual([row.state, row.attempts], ['pending', 0])
  })

  it('ends each lease once if two replicas sweep', async () => {
    for (let i = 0; i < 20; i += 1) await leased(LAPSED)
    const other = storage.open().prisma
    const ended = (await Promise.all([endLeases(prisma, 100), endLeases(other, 100)])).flat()
    assert.equal(new Set(ended.map(({ callbackId }) => callbackId)).size, ended.length)
    assert.equal(ended.length + (await endLeases(prisma, 100)).length, 20)
  })

  it('ends at most so many at a time', async () => {
    for (let i = 0; i < 3; i += 1) await leased(LAPSED)
    assert.equal((await endLeases(prisma, 2)).length, 2)
    assert.equal((await endLeases(prisma, 2)).length, 1)
  })
})
