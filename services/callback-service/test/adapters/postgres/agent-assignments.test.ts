import assert from 'node:assert/strict'
import { v7 } from 'uuid'
import { AgentAssignments } from '../../../adapters/postgres/agent-assignments.ts'
import { listAgentCallbacks } from '../../../adapters/postgres/agent-callbacks.ts'
import { newWorkspaces } from './new-workspaces.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const OURS = v7()
const OTHER = v7()
const ARCHIVED = v7()
const ELSEWHERE = v7()
const FIRST = { limit: 10, position: undefined }

interface Row {
  readonly assigned_to: string | null
  readonly is_live: boolean
  readonly events: string[]
  readonly is_steered: boolean
}

describe('AgentAssignments', () => {
  let storage: TestStorage
  let assignments: AgentAssignments

  before(async () => {
    storage = await openTestStorage()
    const { workspaces } = newWorkspaces(storage.open())
    await workspaces.create({ name: 'plant', fetcher: 'agents' })
    await workspaces.create({ name: 'shop' })
    await storage.query(`INSERT INTO agents (id, workspace, name, archived_at) VALUES ('${OURS}', 'plant', 'ours', NULL),
      ('${OTHER}', 'plant', 'other', NULL), ('${ARCHIVED}', 'plant', 'archived', now()), ('${ELSEWHERE}', 'shop', 'elsewhere', NULL)`)
    assignments = new AgentAssignments(storage.open().prisma)
  })

  beforeEach(() => storage.query('TRUNCATE callbacks'))

  after(() => storage.close())

  const agent = (id = OURS, workspace = 'plant') => ({ id, workspace })

  async function read(id: string): Promise<Row> {
    const [row] = await storage.query<Row>(
      `SELECT assigned_to, coalesce(leased_at <= now() AND now() < lease_expires_at, false) AS is_live, steered_at IS NOT NULL AS is_steered,
         ARRAY(SELECT e->>'event' FROM jsonb_array_elements(timeline) e) AS events FROM callbacks WHERE id = $1`,
      [id],
    )
    return row as Row
  }

  const put = (changes: Parameters<typeof putCallback>[1] = {}): Promise<string> => putCallback(storage, { workspace: 'plant', ...changes })

  async function putLeased(to: string): Promise<string> {
    const id = await put()
    await storage.query(
      `UPDATE callbacks SET state = 'running', agent_id = $2, claim_token = gen_random_uuid(), leased_at = now() - interval '5 s',
         lease_expires_at = now() + interval '30 s', delivered = '{1}', attempts = 1 WHERE id = $1`,
      [id, to],
    )
    return id
  }

  for (const state of ['pending', 'paused'] as const) {
    it(`assigns a callback that is ${state}, and says who has it`, async () => {
      const id = await put()
      await storage.query('UPDATE callbacks SET state = $1::callback_state', [state])
      assert.deepEqual(await assignments.assign(agent(), id), { outcome: 'assigned', state })
      const { events, ...row } = await read(id)
      assert.deepEqual([row, events], [{ assigned_to: OURS, is_live: false, is_steered: true }, ['assigned']])
      const [{ timeline } = {}] = await storage.query<{ timeline?: { agent: string; by: string }[] }>('SELECT timeline FROM callbacks')
      assert.deepEqual([timeline?.[0]?.agent, timeline?.[0]?.by], ['ours', 'api'])
    })
  }

  it('writes nothing if the agent has it already', async () => {
    const id = await put()
    await assignments.assign(agent(), id)
    assert.deepEqual(await assignments.assign(agent(), id), { outcome: 'assigned', state: 'pending' })
    assert.deepEqual((await read(id)).events, ['assigned'])
  })

  it('ends the lease of another agent at once, and lets its own go on', async () => {
    const [taken, kept] = [await putLeased(OTHER), await putLeased(OURS)]
    assert.deepEqual(await assignments.assign(agent(), taken), { outcome: 'assigned', state: 'running' })
    assert.deepEqual(await assignments.assign(agent(), kept), { outcome: 'assigned', state: 'running' })
    assert.deepEqual([(await read(taken)).is_live, (await read(kept)).is_live], [false, true])
  })

  it('assigns a callback that a worker has, without taking it from the worker', async () => {
    const id = await put()
    await storage.query(`UPDATE callbacks SET state = 'running', claimed_by = 1, claim_token = gen_random_uuid()`)
    assert.deepEqual(await assignments.assign(agent(), id), { outcome: 'assigned', state: 'running' })
    assert.deepEqual(await storage.query('SELECT claimed_by, lease_expires_at FROM callbacks'), [{ claimed_by: 1, lease_expires_at: null }])
  })

  it('lets the last of two assignments count', async () => {
    const id = await put()
    await assignments.assign(agent(), id)
    await assignments.assign(agent(OTHER), id)
    assert.equal((await read(id)).assigned_to, OTHER)
  })

  const refused: [what: string, key: () => { id: string; workspace: string }, put: () => Promise<string>, outcome: string][] = [
    ['to an agent that does not exist', () => agent(v7()), () => put(), 'agent_not_found'],
    ['to an agent of another workspace', () => agent(ELSEWHERE), () => put(), 'agent_not_found'],
    ['to an archived agent', () => agent(ARCHIVED), () => put(), 'agent_archived'],
    ['of another workspace', () => agent(), () => put({ workspace: 'shop' }), 'callback_not_found'],
    ['that does not exist', () => agent(), async () => v7(), 'callback_not_found'],
    ['that is finished', () => agent(), () => put({ finishedAgoMs: 1 }), 'callback_finished'],
    ['of a workspace that needs no agents', () => agent(ELSEWHERE, 'shop'), () => put({ workspace: 'shop' }), 'fetcher_is_service'],
  ]
  for (const [what, key, callback, outcome] of refused) {
    it(`assigns no callback ${what}`, async () => {
      assert.deepEqual(await assignments.assign(key(), await callback()), { outcome })
      assert.deepEqual(await storage.query('SELECT id FROM callbacks WHERE assigned_to IS NOT NULL OR timeline IS NOT NULL'), [])
    })
  }

  it('takes an assignment away once, and a lease', async () => {
    const [assigned, leased] = [await put(), await putLeased(OURS)]
    await assignments.assign(agent(), assigned)
    assert.deepEqual([await assignments.takeAway(agent(), assigned), await assignments.takeAway(agent(), assigned)], ['pending', undefined])
    assert.equal((await read(assigned)).assigned_to, null)
    assert.equal(await assignments.takeAway(agent(), leased), 'running')
    assert.equal((await read(leased)).is_live, false)
  })

  it('takes nothing away from another agent', async () => {
    const [assigned, leased] = [await put(), await putLeased(OTHER)]
    await assignments.assign(agent(OTHER), assigned)
    assert.deepEqual([await assignments.takeAway(agent(), assigned), await assignments.takeAway(agent(), leased)], [undefined, undefined])
    assert.equal(await assignments.takeAway({ workspace: 'shop', id: OTHER }, leased), undefined)
    assert.deepEqual([(await read(assigned)).assigned_to, (await read(leased)).is_live], [OTHER, true])
  })

  it('leaves the lease of another agent alone when it takes an assignment away', async () => {
    const id = await putLeased(OTHER)
    await storage.query('UPDATE callbacks SET assigned_to = $1', [OURS])
    assert.equal(await assignments.takeAway(agent(), id), 'running')
    assert.equal((await read(id)).is_live, true)
  })

  it('drops the assignments of archived agents, and no other', async () => {
    const [first, second, third] = [await put(), await put({ finishedAgoMs: 1 }), await put()]
    await storage.query('UPDATE callbacks SET assigned_to = $1 WHERE id = ANY ($2)', [ARCHIVED, [first, second]])
    await assignments.assign(agent(), third)
    assert.deepEqual(await assignments.dropArchived([ARCHIVED, OURS]), ['plant', 'plant'])
    assert.deepEqual(await assignments.dropArchived([ARCHIVED, OURS]), [])
    assert.deepEqual([(await read(first)).assigned_to, (await read(third)).assigned_to], [null, OURS])
    assert.deepEqual((await read(first)).events, ['unassigned'])
  })

  it('lists what an agent holds and what is assigned to it, with what was delivered', async () => {
    const [leased, assigned] = [await putLeased(OURS), await put()]
    const both = await putLeased(OURS)
    const elsewhere = await putLeased(OTHER)
    for (const id of [assigned, both]) await assignments.assign(agent(), id)
    await storage.query('UPDATE callbacks SET assigned_to = $1 WHERE id = $2', [OURS, elsewhere])
    const found = await listAgentCallbacks(storage.open().prisma, agent(), FIRST)
    const of = (id: string) => found?.find(callback => callback.id === id)
    assert.deepEqual(
      found?.map(({ id }) => id),
      [leased, assigned, both, elsewhere].toSorted(),
    )
    assert.deepEqual(
      [of(leased), of(assigned), of(both), of(elsewhere)].map(callback => [
        callback?.isAssigned,
        callback?.leasedAt !== null,
        callback?.delivered,
      ]),
      [
        [false, true, 1],
        [true, false, 0],
        [true, true, 1],
        [true, false, 0],
      ],
    )
    assert.deepEqual([of(leased)?.objects, of(leased)?.state], [2, 'running'])
    assert.equal(await listAgentCallbacks(storage.open().prisma, agent(OURS, 'shop'), FIRST), undefined)
  })

  it('goes on after each place of the list, and back before it', async () => {
    const ids = [await putLeased(OURS), await putLeased(OURS), await putLeased(OURS)].toSorted()
    const page = async (direction: 'after' | 'before', key = '') =>
      (await listAgentCallbacks(storage.open().prisma, agent(), { limit: 1, position: { direction, key } }))?.map(({ id }) => id)
    assert.deepEqual([await page('after', ids[0]), await page('before', ids[2])], [[ids[1]], [ids[1]]])
  })
})
