import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { schema } from '../../config.ts'
import type { CallbackEvent } from '../../domain/callback-event.ts'
import { agentRooms } from '../../wiring/agents.ts'
import { workspaceRooms } from '../../wiring/workspaces.ts'
import { putCallback } from '../adapters/postgres/stored-callbacks.ts'
import { openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

const MEMBERS = { name: 'gateway', description: '', labels: [], maxLeases: 16 }

describe('agentRooms', () => {
  let storage: TestStorage
  let started: Part[]

  before(async () => {
    storage = await openTestStorage()
    await storage.query(`INSERT INTO workspaces (name, fetcher) VALUES ('plant', 'agents')`)
  })

  beforeEach(async () => {
    started = []
    await storage.query('TRUNCATE agents, access_keys, callbacks')
  })

  afterEach(() => Promise.all(started.map(part => part.stop?.())))

  after(() => storage.close())

  /** One replica. */
  function replica(spooled: string[] = []) {
    const logged: string[] = []
    const logger = pino({}, { write: line => logged.push(line) })
    const [work, read] = [storage.open(), storage.open()]
    const config = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url } }).current
    const limited = <T>(run: () => Promise<T>): Promise<T> => run()
    const { directory, changes, changing } = workspaceRooms({ config, work, read, limited, logger })
    const [arrived, events] = [new Signal<string>(), new Signal<CallbackEvent>()]
    const told: unknown[] = []
    arrived.on(workspace => told.push(['arrived', workspace]))
    events.on(event => told.push(event))
    const inTurn = <T>(_workspace: string, run: () => Promise<T>): Promise<T> => run()
    const rooms = agentRooms({
      ...{ work, read, changes, changing, directory, arrived, events, limited, inTurn, listed: inTurn, logger },
      inbox: { find: async (_, id) => (spooled.includes(id) ? ({} as never) : undefined) },
    })
    const start = async (): Promise<void> => {
      for (const part of rooms.parts) {
        await part.start?.()
        started.push(part)
      }
    }
    return { ...rooms, directory, told, logged, start }
  }

  async function withAgent() {
    const rooms = replica()
    const made = await rooms.agents.create('plant', MEMBERS)
    assert.ok(made)
    return { ...rooms, ...made, id: made.agent.id }
  }

  it('knows a new agent before it answers, and logs it without its key', async () => {
    const { directory, id, key, logged } = await withAgent()
    assert.equal(directory.agent(id)?.name, 'gateway')
    const { msg, workspace, agent_id } = JSON.parse(logged[0] as string) as Record<string, unknown>
    assert.deepEqual([msg, workspace, agent_id], ['agent created', 'plant', id])
    assert.ok(!logged.join('').includes(key))
  })

  it('tells whoever waits when a pending callback is assigned or taken away', async () => {
    const { agents, agent, told } = await withAgent()
    const id = await putCallback(storage, { workspace: 'plant' })
    assert.equal(await agents.assign(agent, id), 'assigned')
    const happened = [{ event: 'steered', id, workspace: 'plant', state: 'pending' }, ['arrived', 'plant']]
    assert.deepEqual(told, happened)
    assert.equal(await agents.takeAway(agent, id), true)
    assert.deepEqual(told, [...happened, ...happened])
    assert.deepEqual((await agents.listCallbacks(agent, { limit: 1, position: undefined }))?.length, 0)
  })

  it('assigns no callback that waits in the spool', async () => {
    const { agent } = await withAgent()
    const id = await putCallback(storage, { workspace: 'plant' })
    assert.equal(await replica([id]).agents.assign(agent, id), 'callback_spooled')
  })

  it('sets free what was assigned to an agent before it says that the agent is archived', async () => {
    const { agents, agent, told } = await withAgent()
    const ids = [await putCallback(storage, { workspace: 'plant' }), await putCallback(storage, { workspace: 'plant' })]
    for (const id of ids) await agents.assign(agent, id)
    told.length = 0
    assert.ok((await agents.archive(agent))?.archivedAt)
    assert.deepEqual(await storage.query('SELECT id FROM callbacks WHERE assigned_to IS NOT NULL'), [])
    assert.deepEqual(told, [['arrived', 'plant']])
    assert.equal((await agents.restore(agent))?.callbacks, 0)
  })

  it('sets free what a replica left assigned to an archived agent when it died', async () => {
    const { agents, agent, start } = await withAgent()
    await agents.archive(agent)
    await putCallback(storage, { workspace: 'plant' })
    await storage.query('UPDATE callbacks SET assigned_to = $1', [agent.id])
    await start()
    await eventually(
      'nothing is assigned',
      async () => (await storage.query('SELECT FROM callbacks WHERE assigned_to IS NOT NULL')).length === 0,
    )
  })

  it('says on every replica that an agent is alive which one has seen', async () => {
    const first = await withAgent()
    const second = replica()
    await second.directory.refresh()
    const isAlive = async () => [(await second.agents.find(first.agent))?.isAlive, second.isAnyAlive('plant')]
    assert.deepEqual([await isAlive(), first.isAnyAlive('plant')], [[false, false], false])
    first.activity.seen(first.id, 'agent/1')
    assert.equal((await first.agents.find(first.agent))?.isAlive, true)
    await first.start()
    await eventually('it is written', async () => (await second.agents.find(first.agent))?.version === 'agent/1')
    await second.start()
    await eventually('the other has learned it', () => second.isAnyAlive('plant'))
    assert.deepEqual([await isAlive(), second.isAnyAlive('shop')], [[true, true], false])
  })

  it('writes at once that an agent has come, and what it did', async () => {
    const { agents, agent, id, activity, start } = await withAgent()
    await start()
    activity.seen(id)
    activity.delivered(id, 5)
    activity.finished(id)
    await eventually('it is written', async () => (await agents.find(agent))?.objectsDelivered === 5)
    assert.equal((await agents.find(agent))?.callbacksFinished, 1)
  })

  it('does not count an archived agent among those that can lease', async () => {
    const { agents, agent, id, activity, isAnyAlive } = await withAgent()
    activity.seen(id)
    assert.equal(isAnyAlive('plant'), true)
    await agents.archive(agent)
    assert.equal(isAnyAlive('plant'), false)
  })
})
