import assert from 'node:assert/strict'
import { pruneCallbacks } from '../../../adapters/postgres/callback-retention.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('the retention of callbacks', () => {
  let storage: TestStorage
  let prune: (limit: number) => Promise<number>

  before(async () => {
    storage = await openTestStorage()
    const { prisma } = storage.open()
    prune = limit => pruneCallbacks({ prisma, clock: new DatabaseClock() }, { retentionSeconds: 3600, limit })
  })

  beforeEach(() => storage.query('TRUNCATE callbacks'))
  after(() => storage.close())

  it('deletes only callbacks that finished longer ago than the retention, up to the limit', async () => {
    const kept = await Promise.all([
      putCallback(storage, { dueInMs: -9_000_000 }),
      putCallback(storage, { finishedAgoMs: 3_590_000 }),
      putCallback(storage, { finishedAgoMs: 0 }),
    ])
    for (let i = 0; i < 5; i += 1) await putCallback(storage, { finishedAgoMs: 3_601_000 + i })
    const counts: number[] = []
    for (let i = 0; i < 4; i += 1) counts.push(await prune(2))
    assert.deepEqual(counts, [2, 2, 1, 0])
    const left = await storage.query<{ id: string }>('SELECT id FROM callbacks')
    assert.deepEqual(new Set(left.map(({ id }) => id)), new Set(kept))
  })

  it('keeps callbacks that only seem old because the clock went forward, whichever replica prunes', async () => {
    await putCallback(storage, { finishedAgoMs: 2 * 3_600_000 })
    await storage.query('INSERT INTO clock_steps (number, step_ms) VALUES (1, 7200000)')
    try {
      assert.equal(await prune(10), 0)
      await storage.query(`UPDATE callbacks SET finished_at = finished_at - interval '1 hour 1 second'`)
      assert.equal(await prune(10), 1)
    } finally {
      await storage.query('TRUNCATE clock_steps')
    }
  })
})
