import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import { until } from '../../../../test/support/eventually.ts'
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

  function setup(env: Record<string, string> = {}) {
    const config = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, ...env } }).current
    const due: string[] = []
    const logged: Record<string, unknown>[] = []
    const logger = pino({ base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) })
    const [work, read] = [storage.open(), storage.open()]
    const made = operationRooms({ config, work, read, limited: run => run(), onDue: workspace => due.push(workspace), logger })
    return { ...made, due, logged }
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
    const changes: Change[] = [RETRY, { kind: 'pause' }, { kind: 'prioritise', priority: 1 }, { kind: 'resume' }, { kind: 'cancel' }]
    const told: number[] = []
    for (const change of changes) {
      assert.equal((await run(change)).done, 1, change.kind)
      told.push(rooms.due.length)
    }
    assert.deepEqual(
      [told, rooms.due],
      [
        [1, 1, 1, 2, 2],
        ['shop', 'shop'],
      ],
    )
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
