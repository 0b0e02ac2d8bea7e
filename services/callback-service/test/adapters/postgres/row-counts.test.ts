import assert from 'node:assert/strict'
import { countCallbacks } from '../../../adapters/postgres/row-counts.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('countCallbacks', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks'))

  after(() => storage.close())

  const stateOf = (id: string, state: string) => storage.query('UPDATE callbacks SET state = $2::callback_state WHERE id = $1', [id, state])

  it('counts pending, running and paused callbacks by workspace', async () => {
    await putCallback(storage)
    await stateOf(await putCallback(storage), 'running')
    await stateOf(await putCallback(storage), 'paused')
    await putCallback(storage, { workspace: 'shop' })
    assert.deepEqual(
      (await countCallbacks(storage.open().prisma, 2000)).counts,
      new Map([
        ['default', { unfinished: 2, due: 1, running: 1, paused: 1, finished: 0 }],
        ['shop', { unfinished: 1, due: 1, running: 0, paused: 0, finished: 0 }],
      ]),
    )
  })

  it('takes neither a later nor a less urgent callback for one that is before a new one', async () => {
    await putCallback(storage, { dueInMs: 60_000 })
    await putCallback(storage, { priority: -1 })
    await putCallback(storage, { priority: 1 })
    const counts = (await countCallbacks(storage.open().prisma, 2000)).counts.get('default')
    assert.deepEqual([counts?.unfinished, counts?.due], [3, 1])
  })

  it('says how long the database worked on it, without the time until a connection was there', async () => {
    await storage.query(`INSERT INTO callbacks (id, object_ids) SELECT gen_random_uuid(), '{}' FROM generate_series(1, 100000)`)
    const started = performance.now()
    const { tookMs } = await countCallbacks(storage.open().prisma, 2000)
    assert.ok(tookMs > 1 && tookMs < performance.now() - started, `${tookMs}`)
  })

  it('counts what finished within the window, but not what was cancelled', async () => {
    await putCallback(storage, { finishedAgoMs: 1000 })
    await putCallback(storage, { finishedAgoMs: 60_000 })
    await stateOf(await putCallback(storage, { finishedAgoMs: 1000 }), 'cancelled')
    const of = async (windowMs: number) => (await countCallbacks(storage.open().prisma, windowMs)).counts.get('default')?.finished
    assert.deepEqual([await of(30_000), await of(90_000)], [1, 2])
  })
})
