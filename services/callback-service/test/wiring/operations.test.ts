import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import { eventually, until } from '../../../../test/support/eventually.ts'
import { schema } from '../../config.ts'
import type { Change } from '../../domain/steering/change.ts'
import { operationRooms } from '../../wiring/operations.ts'
import { asked, putCallbacks, RETRY } from '../adapters/postgres/operation-fixture.ts'
import { openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

describe('operationRooms', () => {
  let storage: TestStorage
  let rooms: ReturnType<typeof setup>

  before(async () => {
    storage = await openTestStorage()
  })

  afterEach(async () => {
    await rooms.runner.stop()
    await storage.query('TRUNCATE callbacks, operations')
  })

  after(() => storage.close())

  function setup(env: Record<string, string> = {}, hasRoom = true) {
    const config = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, ...env } }).current
    const due: string[] = []
    const retried: [string, number][] = []
    const logged: Record<string, unknown>[] = []
    const logger = pino({ base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) })
    const [work, read] = [storage.open(), storage.open()]
    const made = operationRooms({
      config,
      work,
      read,
      limited: run => run(),
      onDue: workspace => due.push(workspace),
      backlogs: {
        all: { waitSeconds: () => (hasRoom ? 0 : 1) },
        waitSeconds: () => 0,
        accepted: (workspace, count = 1) => retried.push([workspace, count]),
      },
      workspaces: { find: () => undefined },
      logger,
    })
    return { ...made, due, retried, logged }
  }

  /** Starts an operation, and waits until it has ended. */
  async function run(change: Change) {
    const { operation } = await rooms.operations.create('shop', asked(change, { objectId: 1n }), undefined)
    return until(async () => {
      const found = await rooms.operations.find('shop', operation.id)
      return found?.finishedAt ? found : undefined
    })
  }

  it('makes workers look at once for what it sent round again or resumed, and for nothing else', async () => {
    rooms = setup()
    rooms.runner.start()
    await putCallbacks(storage, 1, { workspace: 'shop' })
    const steps: [Change, number][] = [
      [RETRY, 1],
      [{ kind: 'pause' }, 1],
      [{ kind: 'prioritise', priority: 1 }, 1],
      [{ kind: 'resume' }, 2],
      [{ kind: 'cancel' }, 2],
    ]
    for (const [change, told] of steps) {
      assert.equal((await run(change)).done, 1, change.kind)
      // The runner tells the workers after its commit.
      await eventually(`${change.kind}: told ${told} times`, () => rooms.due.length === told)
    }
    await rooms.runner.stop()
    assert.deepEqual(rooms.due, ['shop', 'shop'])
  })

  it('says how many callbacks it sent round again, because they are unfinished now', async () => {
    rooms = setup()
    rooms.runner.start()
    await putCallbacks(storage, 1, { workspace: 'shop' })
    await run(RETRY)
    await run({ kind: 'cancel' })
    await rooms.runner.stop()
    assert.deepEqual(rooms.retried, [['shop', 1]])
  })

  it('does all but sending round again while a workspace has no room', async () => {
    rooms = setup({}, false)
    rooms.runner.start()
    for (const state of ['failed', 'pending']) await putCallbacks(storage, 1, { workspace: 'shop', state })
    const { operation } = await rooms.operations.create('shop', asked(RETRY), undefined)
    assert.equal((await run({ kind: 'pause' })).done, 1)
    assert.equal((await rooms.operations.find('shop', operation.id))?.done, 0)
  })

  it('logs who started, completed and aborted what', async () => {
    rooms = setup()
    const { operation } = await rooms.operations.create('shop', asked(RETRY, { objectId: 2n ** 62n }), 'k')
    await rooms.operations.create('shop', asked(RETRY, { objectId: 2n ** 62n }), 'k')
    rooms.runner.start()
    await until(() => rooms.logged.length === 2)
    await rooms.operations.abort('shop', operation.id)
    const facts = { operation: operation.id, workspace: 'shop' }
    assert.deepEqual(
      rooms.logged.map(({ level, ...line }) => line),
      [
        { ...facts, change: RETRY, filter: { object_id: '4611686018427387904' }, dry_run: false, msg: 'operation started' },
        { ...facts, matched: 0, done: 0, skipped: 0, msg: 'operation completed' },
        { ...facts, msg: 'operation aborted, unless it had ended' },
      ],
    )
  })

  it('deletes operations after operations.retentionSeconds', async () => {
    rooms = setup({ OPERATIONS_RETENTION_SECONDS: '60' })
    const { operation } = await rooms.operations.create('shop', asked(RETRY), undefined)
    await storage.query(`UPDATE operations SET state = 'completed', finished_at = now() - interval '61 s'`)
    rooms.runner.start()
    await until(async () => (await rooms.operations.find('shop', operation.id)) === undefined)
  })
})
