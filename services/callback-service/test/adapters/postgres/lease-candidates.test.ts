import assert from 'node:assert/strict'
import { Prisma, type PrismaClient } from '#prisma'
import { type CandidateQuery, findCandidates, LOOK } from '../../../adapters/postgres/lease-candidates.ts'
import { grantLeases, newLeaseToken } from '../../../adapters/postgres/lease-grants.ts'
import type { KnownAgent } from '../../../domain/agents/agent.ts'
import { changeRow, putAgent, putWorkspace } from './agents-fixture.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('findCandidates', () => {
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
    agent = await putAgent(storage, { labels: ['a'] })
  })

  after(() => storage.close())

  const due = (options: Parameters<typeof putCallback>[1] = {}) => putCallback(storage, { workspace: 'plant', ...options })
  const find = (changes: Partial<CandidateQuery> = {}) =>
    findCandidates(prisma, { workspace: 'plant', agents: [agent], limit: 10, from: undefined, ...changes })
  const idsOf = async (changes: Partial<CandidateQuery> = {}) => (await find(changes)).candidates.map(({ id }) => id)

  /** Inserts callbacks that need the label `b`. */
  async function putUnsuitable(count: number): Promise<void> {
    await storage.query(
      `INSERT INTO callbacks (id, object_ids, workspace, due_at, agent_labels)
       SELECT gen_random_uuid(), '{1}', 'plant', now() - interval '1 h' + i * interval '1 ms', '{b}' FROM generate_series(1, $1) i`,
      [count],
    )
  }

  it('finds what is due, the most urgent first', async () => {
    const later = await due({ dueInMs: -10 })
    const first = await due({ priority: 5, dueInMs: -1 })
    const second = await due({ dueInMs: -5000 })
    await due({ dueInMs: 60_000 })
    await due({ workspace: 'lab' })
    assert.deepEqual(await idsOf(), [first, second, later])
    assert.deepEqual(await idsOf({ limit: 2 }), [first, second])
  })

  it('finds what is assigned to an agent only when it is due, and in the order of all', async () => {
    const assigned = async (options: Parameters<typeof due>[0]): Promise<string> => {
      const id = await due(options)
      await changeRow(storage, id, `assigned_to = '${agent.id}'`)
      return id
    }
    await assigned({ dueInMs: 60_000 })
    const last = await due({ dueInMs: -5000 })
    const first = await assigned({ priority: 5, dueInMs: -1 })
    assert.deepEqual(await idsOf(), [first, last])
    assert.deepEqual(await idsOf({ limit: 1 }), [first])
  })

  it('says how many objects are still wanted, and which labels count', async () => {
    await putWorkspace(storage, 'plant', { labels: ['a'] })
    const id = await due({ objectIds: [1n, 2n, 3n] })
    await changeRow(storage, id, `unstored = '[{"id":"1","outcome":"pending"},{"id":"2","outcome":"failed"}]'`)
    const { candidates } = await find()
    assert.deepEqual(
      candidates.map(({ objects, labels, assignedTo }) => [objects, labels, assignedTo]),
      [[1, ['a'], null]],
    )
  })

  it('finds only what suits an agent that waits', async () => {
    const own = await due()
    await changeRow(storage, own, `agent_labels = '{a}'`)
    await putUnsuitable(3)
    assert.deepEqual(await idsOf(), [own])
    const other = await putAgent(storage, { labels: ['b'] })
    assert.equal((await idsOf({ agents: [agent, other] })).length, 4)
  })

  it('finds what is assigned to an agent that waits, and nothing that is assigned to others', async () => {
    const other = await putAgent(storage)
    const [own, foreign] = [await due(), await due()]
    await changeRow(storage, own, `assigned_to = '${agent.id}', agent_labels = '{nobody}'`)
    await changeRow(storage, foreign, `assigned_to = '${other.id}'`)
    assert.deepEqual(await idsOf(), [own])
  })

  it('finds nothing for agents that hold as many as they may, and says how many they hold', async () => {
    const id = await due()
    await due()
    await grantLeases(prisma, [{ token: newLeaseToken(), callbackId: id, agent }], { leaseSeconds: 30 })
    const busy = { ...agent, maxLeases: 1 }
    const { candidates, held } = await find({ agents: [busy] })
    assert.deepEqual([candidates, held.get(agent.id)], [[], 1])
    assert.equal((await idsOf({ agents: [{ ...agent, maxLeases: 2 }] })).length, 1)
  })

  it('finds nothing in a workspace that is paused, or whose objects the service fetches', async () => {
    await due()
    await putWorkspace(storage, 'plant', { paused: true })
    assert.deepEqual(await idsOf(), [])
    await putWorkspace(storage, 'plant', { fetcher: 'service' })
    assert.deepEqual(await idsOf(), [])
  })

  it('considers only so many callbacks, and says where to go on', async () => {
    await putUnsuitable(2 * LOOK)
    const hidden = await due({ dueInMs: -1 })
    await due({ priority: -1 })
    const urgent = await due({ priority: 1 })
    await changeRow(storage, urgent, `agent_labels = '{b}'`)
    let { candidates, next } = await find()
    const steps = [candidates.length]
    while (next && candidates.length === 0) {
      ;({ candidates, next } = await find({ from: next, limit: 1 }))
      steps.push(candidates.length)
    }
    assert.deepEqual(steps, [0, 0, 1])
    assert.equal(candidates[0]?.id, hidden)
  })

  it('goes on behind callbacks of the same time', async () => {
    await storage.query(
      `INSERT INTO callbacks (id, object_ids, workspace, due_at) SELECT gen_random_uuid(), '{1}', 'plant', '2026-01-01' FROM generate_series(1, 30)`,
    )
    const seen: string[] = []
    for (let from: CandidateQuery['from'], first = true; first || from; first = false) {
      const { candidates, next } = await find({ from })
      seen.push(...candidates.map(({ id }) => id))
      from = next
    }
    assert.equal(seen.length, 30)
    assert.equal(new Set(seen).size, 30)
  })

  it('reads no more if a hundred thousand callbacks suit nobody', async function () {
    this.timeout(60_000)
    await putUnsuitable(100_000)
    const blocks: number[] = []
    // Runs each statement with EXPLAIN first.
    const explaining = {
      $queryRaw: async (strings: TemplateStringsArray, ...values: unknown[]) => {
        const { text, values: given } = Prisma.sql(strings, ...values)
        const [plan] = await storage.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
          `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
          given,
        )
        const { 'Shared Hit Blocks': hit = 0, 'Shared Read Blocks': read = 0 } = plan?.['QUERY PLAN'][0].Plan ?? {}
        blocks.push(hit + read)
        return storage.query(text, given)
      },
    }
    const query = { workspace: 'plant', agents: [agent], limit: 10 }
    const { next } = await findCandidates(explaining as unknown as PrismaClient, { ...query, from: undefined })
    assert.ok(next)
    await findCandidates(explaining as unknown as PrismaClient, { ...query, from: next })
    assert.equal(blocks.length, 4)
    // The whole backlog has more than 2,000 blocks.
    assert.ok(Math.max(...blocks) < 500, `${blocks} blocks`)
  })
})
