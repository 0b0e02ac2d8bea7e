import assert from 'node:assert/strict'
import { withClient } from '../../../../../test/support/database.ts'
import { readClusterState } from '../../../adapters/postgres/cluster-state.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { ADVISORY_CLASS } from '../../../adapters/postgres/worker-session.ts'
import type { WorkerSign } from '../../../domain/processing/worker-liveness.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('readClusterState', () => {
  let storage: TestStorage
  const clock = new DatabaseClock()

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, workers, clock_steps'))

  after(() => storage.close())

  const read = () => readClusterState(storage.open().prisma, { clock, maxCrashes: 6 })
  const signOf = async (number: number): Promise<WorkerSign | undefined> => (await read()).workers.find(worker => worker.number === number)
  const renew = (number: number) =>
    storage.query(
      `INSERT INTO workers (number, host, pid, lease_expires_at) VALUES ($1, 'host', 1, to_timestamp(1))
       ON CONFLICT (number) DO UPDATE SET lease_expires_at = excluded.lease_expires_at`,
      [number],
    )

  it('reads only the time from an empty database', async () => {
    const { clockSteps, ...state } = await read()
    assert.deepEqual(state, { workers: [], suspectCrashes: undefined, recalled: [] })
    assert.deepEqual([clockSteps.number, clockSteps.byMs], [0, 0])
    assert.ok(Math.abs(clock.nowMs() - Date.now()) < 1000)
  })

  it('takes no agent for a worker', async () => {
    const id = await putCallback(storage)
    await storage.query(
      `UPDATE callbacks SET state = 'running', agent_id = gen_random_uuid(), claim_token = gen_random_uuid(), wish = 'cancel' WHERE id = $1`,
      [id],
    )
    const { workers, recalled } = await read()
    assert.deepEqual([workers, recalled], [[], []])
  })

  it('shows a new value after each renewal, whatever the clock says, and the same value in between', async () => {
    const renewals: unknown[] = []
    for (let i = 0; i < 3; i += 1) {
      await renew(1)
      renewals.push((await signOf(1))?.renewal, (await signOf(1))?.renewal)
    }
    assert.equal(new Set(renewals).size, 3)
    assert.equal(renewals[0], renewals[1])
  })

  it('shows whose lock is held, and ignores locks of other databases and of other kinds', async () => {
    await renew(1)
    await renew(2)
    const elsewhere = await openTestStorage()
    try {
      await withClient(elsewhere.url, async stranger => {
        await stranger.query('SELECT pg_advisory_lock($1, 1)', [ADVISORY_CLASS])
        await withClient(storage.url, async other => {
          await other.query('SELECT pg_advisory_lock(1, 1), pg_advisory_lock(($1::bigint << 32) + 1), pg_advisory_lock($1::int, 2)', [
            ADVISORY_CLASS,
          ])
          const { workers } = await read()
          assert.deepEqual(workers.map(({ number, isLocked }) => [number, isLocked]).toSorted(), [
            [1, false],
            [2, true],
          ])
        })
      })
    } finally {
      await elsewhere.close()
    }
  })

  it('shows a worker that has claims but no row', async () => {
    await putCallback(storage)
    await storage.query(`UPDATE callbacks SET state = 'running', claimed_by = 5`)
    assert.deepEqual(await signOf(5), { number: 5, renewal: null, leaseMs: null, isLocked: false })
  })

  it('shows the fewest crashes of a suspect that is due', async () => {
    for (const [crashes, dueInMs] of [
      [0, -1000],
      [2, -1000],
      [3, 60_000],
      [5, -1000],
      [4, -1000],
      [6, -1000],
    ] as const) {
      const id = await putCallback(storage, { dueInMs })
      await storage.query('UPDATE callbacks SET crashes = $2 WHERE id = $1', [id, crashes])
    }
    assert.equal((await read()).suspectCrashes, 4)
  })

  it('does not count suspects that are paused', async () => {
    const id = await putCallback(storage)
    await storage.query(`UPDATE callbacks SET crashes = 4, state = 'paused' WHERE id = $1`, [id])
    assert.equal((await read()).suspectCrashes, undefined)
  })

  it('shows which running callbacks of one worker somebody wants to cancel', async () => {
    const [ours, theirs, paused, calm] = await Promise.all(Array.from({ length: 4 }, () => putCallback(storage)))
    for (const [id, worker, wish] of [
      [ours, 5, 'cancel'],
      [theirs, 6, 'cancel'],
      [paused, 5, 'pause'],
      [calm, 5, null],
    ])
      await storage.query(`UPDATE callbacks SET state = 'running', claimed_by = $2, wish = $3 WHERE id = $1`, [id, worker, wish])
    const recalledOf = async (workerNumber: number | undefined) =>
      (await readClusterState(storage.open().prisma, { clock, maxCrashes: 6, workerNumber })).recalled
    assert.deepEqual([await recalledOf(5), await recalledOf(undefined)], [[ours], []])
  })

  it('shows the last step of the clock that was made up for', async () => {
    await storage.query('INSERT INTO clock_steps (number, step_ms) VALUES (1, 2000), (2, -5000)')
    const { number, byMs } = (await read()).clockSteps
    assert.deepEqual([number, byMs], [2, -3000])
  })
})
