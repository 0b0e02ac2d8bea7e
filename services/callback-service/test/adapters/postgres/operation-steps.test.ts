import assert from 'node:assert/strict'
import type { Change } from '../../../domain/steering/change.ts'
import type { OperationFilter } from '../../../domain/steering/operation.ts'
import { asked, newReplica, putCallbacks, RETRY, runSteps, statesOf, stepsUntil } from './operation-fixture.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('the steps of operations', () => {
  let storage: TestStorage
  let replica: ReturnType<typeof newReplica>

  before(async () => {
    storage = await openTestStorage()
    replica = newReplica(storage)
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, operations'))
  after(() => storage.close())

  const start = (...args: Parameters<typeof asked>) => replica.store.create('default', asked(...args))

  it('sends failed callbacks round again, and no others', async () => {
    await putCallbacks(storage, 20)
    for (const state of ['completed', 'pending', 'running', 'paused', 'cancelled']) await putCallbacks(storage, 3, { state })
    await putCallbacks(storage, 3, { workspace: 'shop' })
    await start(RETRY, { state: 'failed' })
    const ended = await runSteps(replica.steps)
    assert.deepEqual([ended?.state, ended?.matched, ended?.done, ended?.skipped], ['completed', 20, 20, 0])
    assert.deepEqual(await statesOf(storage), { pending: 23, running: 3, completed: 3, failed: 3, paused: 3, cancelled: 3 })
    const [retried] = await storage.query<{ count: number }>(
      `SELECT count(*)::int FROM callbacks WHERE retried_at IS NOT NULL AND priority = -10 AND attempts = 0 AND timeline->0->>'by' = $1`,
      [ended?.id],
    )
    assert.equal(retried?.count, 20)
  })

  for (const [change, touched] of [
    [{ kind: 'pause' }, ['pending', 'running']],
    [{ kind: 'resume' }, ['paused']],
    [{ kind: 'cancel' }, ['paused', 'pending']],
    [{ kind: 'prioritise', priority: 7 }, ['paused', 'pending', 'running']],
  ] as const satisfies readonly (readonly [Change, readonly string[]])[]) {
    it(`touches what it can ${change.kind}, and counts exactly that in a dry run`, async () => {
      for (const state of ['completed', 'failed', 'pending', 'running', 'paused', 'cancelled']) await putCallbacks(storage, 4, { state })
      await start(change, {}, { isDryRun: true })
      const counted = await runSteps(replica.steps)
      const untouched = await storage.query('SELECT FROM callbacks WHERE steered_at IS NOT NULL')
      await start(change)
      const ended = await runSteps(replica.steps)
      const rows = await storage.query<{ was: string; count: number }>(
        `SELECT CASE WHEN finished_at < now() - interval '30 s' THEN 'finished' ELSE 'unfinished' END AS was, count(*)::int
         FROM callbacks WHERE timeline IS NOT NULL GROUP BY 1`,
      )
      assert.deepEqual([counted?.state, counted?.matched, counted?.done, untouched.length], ['completed', 4 * touched.length, 0, 0])
      assert.deepEqual(
        [ended?.matched, ended?.done, rows],
        [counted?.matched, counted?.matched, [{ was: 'unfinished', count: counted?.matched }]],
      )
    })
  }

  for (const [name, filter] of Object.entries({
    'the reason of an object': { reason: 'http_500' },
    'the id of an object': { objectId: 9_007_199_254_740_993n },
    'a time after which it came': { receivedAfter: new Date(Date.now() - 60_000) },
    'a time before which it came': { receivedBefore: new Date(Date.now() - 7_200_000) },
  } satisfies Record<string, Partial<OperationFilter>>)) {
    it(`selects callbacks by ${name}`, async () => {
      const [chosen] = await putCallbacks(storage, 5)
      await storage.query(
        `UPDATE callbacks SET object_ids = '{9007199254740993}', received_at = now() + $2 * interval '1 second',
           unstored = '[{"id": "7", "outcome": "not_found"}, {"id": "8", "outcome": "failed", "reason": "http_500"}]' WHERE id = $1`,
        [chosen, 'receivedAfter' in filter ? -30 : -10_000],
      )
      await start(RETRY, { state: 'failed', ...filter })
      await runSteps(replica.steps)
      const changed = await storage.query<{ id: string }>(`SELECT id FROM callbacks WHERE state = 'pending'`)
      assert.deepEqual(changed, [{ id: chosen }])
    })
  }

  it('is completed after counting if nothing matches', async () => {
    await putCallbacks(storage, 20, { state: 'completed' })
    const { operation } = await start(RETRY, { state: 'failed' })
    await runSteps(replica.steps)
    const ended = await replica.store.find('default', operation.id)
    assert.deepEqual([ended?.state, ended?.matched, ended?.done, ended?.finishedAt instanceof Date], ['completed', 0, 0, true])
  })

  it('counts what no longer matches when it comes to it as skipped', async () => {
    await putCallbacks(storage, 20, { state: 'pending' })
    const { operation } = await start({ kind: 'cancel' })
    await stepsUntil(replica, operation.id, ({ state }) => state === 'running')
    await storage.query(`UPDATE callbacks SET state = 'running', claimed_by = 1 WHERE id IN (SELECT id FROM callbacks LIMIT 3)`)
    const ended = await runSteps(replica.steps)
    assert.deepEqual([ended?.matched, ended?.done, ended?.skipped], [20, 17, 3])
  })

  it('leaves callbacks alone that came, or failed, after it was created', async () => {
    await putCallbacks(storage, 5)
    await start(RETRY, { state: 'failed' })
    await putCallbacks(storage, 5)
    await storage.query(`UPDATE callbacks SET received_at = clock_timestamp() WHERE id IN (SELECT id FROM callbacks LIMIT 3)`)
    await storage.query(
      `UPDATE callbacks SET finished_at = clock_timestamp() WHERE id IN (SELECT id FROM callbacks WHERE received_at < now() - interval '1 minute' LIMIT 3)`,
    )
    const ended = await runSteps(replica.steps)
    assert.deepEqual([ended?.done, await statesOf(storage)], [4, { failed: 6, pending: 4 }])
  })

  it('touches a callback once, even if it fails again meanwhile', async () => {
    await putCallbacks(storage, 20)
    await start(RETRY, { state: 'failed' })
    for (let i = 0; i < 100; i += 1) {
      const { operation } = await replica.steps.due()
      if (!operation) break
      await replica.steps.step(operation, 3)
      await storage.query(`UPDATE callbacks SET state = 'failed', finished_at = now() - interval '1 minute' WHERE state = 'pending'`)
    }
    const rows = await storage.query<{ entries: number }>('SELECT DISTINCT jsonb_array_length(timeline) AS entries FROM callbacks')
    assert.deepEqual(rows, [{ entries: 1 }])
  })
})
