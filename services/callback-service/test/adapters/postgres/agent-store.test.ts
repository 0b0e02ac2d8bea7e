import assert from 'node:assert/strict'
import { v7 } from 'uuid'
import { hashOfKey } from '../../../adapters/access-key.ts'
import { AccessChanges } from '../../../adapters/postgres/access-changes.ts'
import { AgentStore } from '../../../adapters/postgres/agent-store.ts'
import { newWorkspaces } from './new-workspaces.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const MEMBERS = { name: 'gateway', description: '', labels: ['eu', 'hall=3'], maxLeases: 16 }
const FIRST = { limit: 10, position: undefined }

describe('AgentStore', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    const { workspaces } = newWorkspaces(storage.open())
    await workspaces.create({ name: 'plant' })
    await workspaces.create({ name: 'shop' })
  })

  beforeEach(() => storage.query('TRUNCATE agents, access_keys, callbacks'))

  after(() => storage.close())

  function open() {
    const { prisma } = storage.open()
    return new AgentStore({ changes: new AccessChanges(prisma), prisma })
  }

  async function made(agents = open(), name = 'gateway', workspace = 'plant') {
    const result = await agents.create(workspace, { ...MEMBERS, name })
    assert.ok(result)
    return result
  }

  const revision = async (): Promise<unknown> => (await storage.query('SELECT number FROM access_revision'))[0]

  it('makes an agent with a key of its own, and finds it as it was made', async () => {
    const agents = open()
    const { agent, key } = await made(agents)
    const { id, createdAt, ...rest } = agent
    assert.deepEqual(await agents.find({ workspace: 'plant', id }), agent)
    assert.deepEqual(rest, {
      ...{ workspace: 'plant', ...MEMBERS, version: '', isAlive: false, lastSeenAt: null },
      ...{ callbacks: 0, objectsDelivered: 0, callbacksFinished: 0, leasesLapsed: 0, archivedAt: null },
    })
    assert.ok(Math.abs(createdAt.getTime() - Date.now()) < 5000)
    const [row] = await storage.query('SELECT workspace, role, agent_id, hash FROM access_keys')
    assert.deepEqual(row, { workspace: 'plant', role: 'agent', agent_id: id, hash: hashOfKey(key) })
  })

  it('is known to the directory after its next look, with its key', async () => {
    const { directory } = newWorkspaces(storage.open())
    await directory.refresh()
    const { agent, key } = await made()
    await directory.refresh()
    const known = { id: agent.id, workspace: 'plant', name: 'gateway', labels: MEMBERS.labels, maxLeases: 16, isArchived: false }
    assert.deepEqual(directory.agent(agent.id), known)
    assert.deepEqual([directory.agentsOf('plant'), directory.agentsOf('shop'), directory.hasAgents], [[known], [], true])
    assert.equal(directory.keyWithHash(hashOfKey(key))?.agentId, agent.id)
    await open().archive({ workspace: 'plant', id: agent.id })
    await directory.refresh()
    assert.equal(directory.agent(agent.id)?.isArchived, true)
  })

  it('refuses a name that an agent of the workspace has, archived or not, and makes no key', async () => {
    const agents = open()
    const { agent } = await made(agents)
    await made(agents, 'gateway', 'shop')
    await agents.archive(agent)
    const { agent: other } = await made(agents, 'other')
    await assert.rejects(made(agents), { code: 'agent_exists' })
    await assert.rejects(agents.change(other, { name: 'gateway' }), { code: 'agent_exists' })
    assert.deepEqual(await storage.query('SELECT count(*)::int AS count FROM access_keys'), [{ count: 3 }])
  })

  it('lets an agent keep its name', async () => {
    const agents = open()
    const { agent } = await made(agents)
    assert.deepEqual(await agents.change(agent, { name: 'gateway', maxLeases: 3 }), { ...agent, maxLeases: 3 })
  })

  it('changes what is named, and nothing else', async () => {
    const agents = open()
    const { agent } = await made(agents)
    assert.deepEqual(await agents.change(agent, { labels: [], description: 'Halle „3"' }), {
      ...agent,
      labels: [],
      description: 'Halle „3"',
    })
    assert.deepEqual(await agents.change(agent, {}), { ...agent, labels: [], description: 'Halle „3"' })
  })

  it('archives and restores, both safe to repeat', async () => {
    const agents = open()
    const { agent } = await made(agents)
    const first = await agents.archive(agent)
    const second = await agents.archive(agent)
    assert.ok(first?.archivedAt)
    assert.deepEqual(second, first)
    assert.deepEqual(await agents.restore(agent), agent)
    assert.deepEqual(await agents.restore(agent), agent)
  })

  it('knows nothing of an agent of another workspace, and changes nothing', async () => {
    const agents = open()
    const { agent } = await made(agents)
    const before = await revision()
    for (const key of [
      { workspace: 'shop', id: agent.id },
      { workspace: 'plant', id: v7() },
    ]) {
      assert.deepEqual(
        [await agents.find(key), await agents.change(key, { maxLeases: 1 }), await agents.archive(key), await agents.restore(key)],
        [undefined, undefined, undefined, undefined],
      )
    }
    assert.equal(await agents.create('nowhere', MEMBERS), undefined)
    assert.deepEqual(await revision(), before)
  })

  it('lists the agents of a workspace by name, goes on after each place, and back before it', async () => {
    const agents = open()
    for (const name of ['b', 'a', 'c']) await made(agents, name)
    await made(agents, 'd', 'shop')
    const page = async (direction: 'after' | 'before', key: string) =>
      (await agents.list('plant', { limit: 1, position: { direction, key } })).map(({ name }) => name)
    assert.deepEqual(
      (await agents.list('plant', FIRST)).map(({ name }) => name),
      ['a', 'b', 'c'],
    )
    assert.deepEqual([await page('after', 'a'), await page('before', 'c'), await page('after', 'c')], [['b'], ['b'], []])
  })

  it('keeps the bound of a workspace when two replicas make agents at once', async () => {
    await storage.query(
      `INSERT INTO agents (id, workspace, name) SELECT gen_random_uuid(), 'plant', 'agent ' || n FROM generate_series(1, 995) n`,
    )
    const replicas = [open(), open()]
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => (replicas[i % 2] as AgentStore).create('plant', { ...MEMBERS, name: `n${i}` })),
    )
    const refused = outcomes.filter(outcome => outcome.status === 'rejected').map(({ reason }) => reason.code)
    assert.deepEqual([refused.length, [...new Set(refused)]], [7, ['too_many_agents']])
    assert.deepEqual(await storage.query('SELECT count(*)::int AS count FROM agents'), [{ count: 1000 }])
  })

  it('keeps the bound of all workspaces', async () => {
    await storage.query(
      `INSERT INTO agents (id, workspace, name) SELECT gen_random_uuid(), 'w' || n % 20, 'agent ' || n FROM generate_series(1, 10000) n`,
    )
    await assert.rejects(made(), { code: 'too_many_agents', message: 'All workspaces together can have 10000 agents.' })
  })

  it('counts what an agent holds and what is assigned to it once, without what is finished', async () => {
    const agents = open()
    const { agent } = await made(agents)
    const { agent: other } = await made(agents, 'other')
    await storage.query(`
      INSERT INTO callbacks (id, workspace, object_ids, state, agent_id, assigned_to)
      SELECT gen_random_uuid(), 'plant', '{1}', state::callback_state, agent_id::uuid, assigned_to::uuid FROM (VALUES
        ('running', '${agent.id}', NULL), ('running', '${agent.id}', '${agent.id}'), ('running', '${other.id}', NULL),
        ('pending', NULL, '${agent.id}'), ('paused', NULL, '${agent.id}'), ('completed', NULL, '${agent.id}'), ('pending', NULL, '${other.id}')
      ) AS c(state, agent_id, assigned_to)`)
    const counts = (await agents.list('plant', FIRST)).map(({ name, callbacks }) => [name, callbacks])
    assert.deepEqual(counts, [
      ['gateway', 4],
      ['other', 2],
    ])
  })
})
