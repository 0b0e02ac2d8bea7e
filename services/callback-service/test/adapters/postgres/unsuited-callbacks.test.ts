import assert from 'node:assert/strict'
import type { PrismaClient } from '#prisma'
import { findUnsuited } from '../../../adapters/postgres/unsuited-callbacks.ts'
import type { KnownAgent } from '../../../domain/agents/agent.ts'
import { changeRow, putAgent, putWorkspace } from './agents-fixture.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('findUnsuited', () => {
  let storage: TestStorage
  let prisma: PrismaClient

  before(async () => {
    storage = await openTestStorage()
    prisma = storage.open().prisma
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, agents')
    await putWorkspace(storage, 'plant')
    await putLiving({ labels: ['a', 'b'] })
  })

  after(() => storage.close())

  async function putLiving(changes: Partial<KnownAgent> = {}, agoMs = 1000): Promise<string> {
    const { id } = await putAgent(storage, changes)
    await storage.query(`UPDATE agents SET last_seen_at = clock_timestamp() - $2 * interval '1 ms' WHERE id = $1`, [id, agoMs])
    return id
  }

  /** Makes a callback that is due for two minutes, unless `options` say otherwise. @param set more of its row, in SQL */
  async function due(set: string, options: Parameters<typeof putCallback>[1] = {}): Promise<string> {
    const id = await putCallback(storage, { workspace: 'plant', dueInMs: -120_000, ...options })
    await changeRow(storage, id, set)
    return id
  }

  const find = async () => (await findUnsuited(prisma)).unsuited.map(({ workspace, waiting, callback }) => [workspace, waiting, callback])

  it('finds callbacks whose labels no living agent has, with the one that has waited longest', async () => {
    await due(`agent_labels = '{c}'`)
    const oldest = await due(`agent_labels = '{a,c}'`, { dueInMs: -300_000, priority: -5 })
    await due(`agent_labels = '{a}'`, { dueInMs: -900_000 })
    await due(`agent_labels = '{}'`, { dueInMs: -900_000 })
    const { unsuited } = await findUnsuited(prisma)
    assert.deepEqual(
      unsuited.map(({ ms, ...one }) => [one, Math.round(ms / 10_000)]),
      [[{ workspace: 'plant', waiting: 2, callback: oldest }, 30]],
    )
  })

  it('takes the labels of the workspace where the callback has none', async () => {
    await putWorkspace(storage, 'plant', { labels: ['c'] })
    const own = await due('agent_labels = NULL')
    await due(`agent_labels = '{b}'`)
    assert.deepEqual(await find(), [['plant', 1, own]])
  })

  it('looks at each agent alone: it needs all labels itself', async () => {
    await putLiving({ labels: ['c'] })
    const id = await due(`agent_labels = '{a,c}'`)
    assert.deepEqual(await find(), [['plant', 1, id]])
  })

  for (const [what, changes, agoMs] of [
    ['was not seen for 90 s', {}, 91_000],
    ['is archived', { isArchived: true }, 1000],
    ['is of another workspace', { workspace: 'lab' }, 1000],
    ['was seen in the future, before a step of the clock', {}, -60_000],
  ] as const) {
    it(`does not count an agent that ${what}`, async () => {
      await putLiving({ labels: ['c'], ...changes }, agoMs)
      const id = await due(`agent_labels = '{c}'`)
      assert.deepEqual(await find(), [['plant', 1, id]])
    })
  }

  it('lets only the living agent have a callback to which it is assigned, whatever its labels', async () => {
    const [living, dead] = [await putLiving(), await putLiving({}, 200_000)]
    await due(`assigned_to = '${living}', agent_labels = '{c}'`)
    const id = await due(`assigned_to = '${dead}', agent_labels = '{a}'`)
    assert.deepEqual(await find(), [['plant', 1, id]])
  })

  it('finds nothing that is due for less than a minute, running, paused, in a paused workspace, or for the service', async () => {
    await putWorkspace(storage, 'still', { paused: true })
    await putWorkspace(storage, 'own', { fetcher: null })
    const needsC = `agent_labels = '{c}'`
    await due(needsC, { dueInMs: -55_000 })
    await due(`${needsC}, state = 'running'`)
    await due(`${needsC}, state = 'paused'`)
    await due(needsC, { workspace: 'still' })
    await due(needsC, { workspace: 'own' })
    assert.deepEqual(await find(), [])
  })

  it('finds nothing where no workspace needs agents now', async () => {
    await putWorkspace(storage, 'plant', { paused: true })
    await putWorkspace(storage, 'lab', { paused: true })
    await due(`agent_labels = '{c}'`)
    assert.deepEqual(await find(), [])
  })

  it('finds one behind a backlog that suits the agents, and in a workspace without any', async () => {
    await putWorkspace(storage, 'lab')
    await storage.query(
      `INSERT INTO callbacks (id, object_ids, workspace, due_at)
       SELECT gen_random_uuid(), '{1}', 'plant', now() - interval '1 h' + i * interval '1 ms' FROM generate_series(1, 5000) i`,
    )
    const hidden = await due(`agent_labels = '{c}'`)
    const other = await due('agent_labels = NULL', { workspace: 'lab' })
    assert.deepEqual((await find()).toSorted(), [
      ['lab', 1, other],
      ['plant', 1, hidden],
    ])
  })

  it('answers within a second for 20,000 callbacks of as many labels, and says how long it took', async function () {
    this.timeout(60_000)
    await storage.query(
      `INSERT INTO callbacks (id, object_ids, workspace, due_at, agent_labels)
       SELECT gen_random_uuid(), '{1}', 'plant', now() - interval '1 h' + i * interval '1 ms', ARRAY['a', 'site=' || i] FROM generate_series(1, 20000) i`,
    )
    const { unsuited, tookMs } = await findUnsuited(prisma)
    assert.equal(unsuited[0]?.waiting, 200)
    assert.ok(tookMs > 0 && tookMs < 2000, `${tookMs} ms`)
  })
})
