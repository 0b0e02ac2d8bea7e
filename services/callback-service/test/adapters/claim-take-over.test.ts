import assert from 'node:assert/strict'
import { withClient } from '../../../../test/support/database.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { TcpProxy } from '../../../../test/support/tcp-proxy.ts'
import { CallbackClaims } from '../../adapters/callback-claims.ts'
import { DatabaseClock } from '../../adapters/database-clock.ts'
import { WorkerSession } from '../../adapters/worker-session.ts'
import type { ClaimedCallback } from '../../domain/claimed-callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { putCallback, readCallback, upTo } from './stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from './test-storage.ts'

interface TestWorker {
  readonly number: number
  readonly claims: CallbackClaims
  readonly session: WorkerSession
}

describe('CallbackClaims.takeOver', () => {
  let storage: TestStorage
  let proxy: TcpProxy
  const sessions: WorkerSession[] = []

  before(async () => {
    storage = await openTestStorage()
    await eventually('Postgres is up for more than a second', async () => {
      const [row] = await storage.query<{ is_old: boolean }>(`SELECT pg_postmaster_start_time() < now() - interval '1 second' AS is_old`)
      return row?.is_old === true
    })
  })

  beforeEach(async () => {
    await storage.query('DELETE FROM callbacks')
    proxy = new TcpProxy(storage.url)
    await proxy.start()
  })

  afterEach(async () => {
    await Promise.all(sessions.splice(0).map(session => session.stop()))
    await proxy.stop()
  })

  after(() => storage.close())

  /** A worker with a lock and a lease that nobody renews while the test runs. */
  async function startWorker(): Promise<TestWorker> {
    const session = new WorkerSession({ url: storage.url, leaseMs: 3_600_000, logger })
    sessions.push(session)
    session.start()
    await eventually('the worker has a number', () => session.worker !== undefined)
    const claims = new CallbackClaims({ prisma: storage.open({ url: proxy.url }).prisma, clock: new DatabaseClock() })
    return { session, claims, number: session.worker as number }
  }

  async function claimOne({ claims, number }: TestWorker): Promise<ClaimedCallback> {
    const [callback] = await claims.claim(number, upTo(1))
    assert.ok(callback, 'a callback is due')
    return callback
  }

  it('gives back, due at once, what a worker had claimed whose session has ended', async () => {
    const [dead, living] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage, { dueInMs: -60_000 })
    await claimOne(dead)
    await dead.session.stop()
    assert.equal(await living.claims.takeOver(living.number), 1)
    const { state, claimed_by: claimedBy, claim_token: token, attempts, due_in_ms: dueInMs } = await readCallback(storage, id)
    assert.deepEqual([state, claimedBy, token, attempts], ['pending', null, null, 1])
    assert.ok(dueInMs <= 0 && dueInMs > -5000, `due in ${dueInMs} ms`)
    assert.equal((await claimOne(living)).attempt, 2)
  })

  it('sees through a lock that its owner lost but whose lease still holds', async () => {
    const [cut, living] = [await startWorker(), await startWorker()]
    await putCallback(storage)
    await claimOne(cut)
    await cut.session.stop()
    // What kill -9 leaves behind: no lock, a row with a lease of an hour.
    await storage.query(`INSERT INTO workers VALUES ($1, 'host', 1, now(), now() + interval '1 hour')`, [cut.number])
    assert.equal(await living.claims.takeOver(living.number), 1)
  })

  it('gives back what a worker had claimed that keeps its lock but has let its lease run out', async () => {
    const [hung, living] = [await startWorker(), await startWorker()]
    await putCallback(storage)
    await claimOne(hung)
    await storage.query(`UPDATE workers SET lease_expires_at = now() - interval '1 ms' WHERE number = $1`, [hung.number])
    assert.equal(await living.claims.takeOver(living.number), 1)
  })

  it('leaves a living worker alone, however long it takes', async () => {
    const [slow, other] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage)
    const callback = await claimOne(slow)
    await storage.query(`UPDATE callbacks SET due_at = now() - interval '1 day', received_at = now() - interval '1 day'`)
    assert.equal(await other.claims.takeOver(other.number), 0)
    assert.equal((await readCallback(storage, id)).claim_token, callback.token)
  })

  it('is not taken in by the lock of another database or of another kind', async () => {
    const [dead, living] = [await startWorker(), await startWorker()]
    await putCallback(storage)
    await claimOne(dead)
    await dead.session.stop()
    await storage.query(`INSERT INTO workers VALUES ($1, 'host', 1, now(), now() + interval '1 hour')`, [dead.number])
    const elsewhere = await openTestStorage()
    try {
      await withClient(elsewhere.url, async stranger => {
        await stranger.query('SELECT pg_advisory_lock(0x616e7377, $1)', [dead.number])
        await withClient(storage.url, async other => {
          await other.query('SELECT pg_advisory_lock(1, $1::int), pg_advisory_lock((0x616e7377::bigint << 32) + $1)', [dead.number])
          assert.equal(await living.claims.takeOver(living.number), 1)
        })
      })
    } finally {
      await elsewhere.close()
    }
  })

  it('lets a zombie change nothing of what its successor does', async () => {
    const [zombie, successor] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage)
    const stale = await claimOne(zombie)
    await storage.query(`UPDATE workers SET lease_expires_at = now() - interval '1 ms' WHERE number = $1`, [zombie.number])
    await successor.claims.takeOver(successor.number)
    const settleStale = (): Promise<boolean> => zombie.claims.settle(stale, { state: 'failed', unstored: [{ id: 1n, outcome: 'failed' }] })
    assert.equal(await settleStale(), false, 'while it waits to be claimed again')
    const fresh = await claimOne(successor)
    assert.equal(await settleStale(), false, 'while the successor works on it')
    const { state, unstored, claim_token: token } = await readCallback(storage, id)
    assert.deepEqual([state, unstored, token], ['running', null, fresh.token])
    assert.equal(await successor.claims.settle(fresh, { state: 'completed', unstored: [] }), true)
    assert.equal(await settleStale(), false, 'after it has completed')
    assert.equal((await readCallback(storage, id)).state, 'completed')
  })

  describe('of the worker itself', () => {
    it('gives back a claim whose answer was lost, and keeps those it knows', async () => {
      const worker = await startWorker()
      await putCallback(storage)
      const known = await claimOne(worker)
      const id = await putCallback(storage)
      const lost = proxy.loseNextAnswer()
      await assert.rejects(worker.claims.claim(worker.number, upTo(1)), StorageUnavailableError)
      await lost
      assert.equal((await readCallback(storage, id)).state, 'running')
      assert.equal(await worker.claims.takeOver(worker.number), 1)
      assert.equal((await readCallback(storage, id)).state, 'pending')
      assert.equal((await readCallback(storage, known.id)).claim_token, known.token)
    })

    it('keeps a claim until the last of its callbacks is released', async () => {
      const worker = await startWorker()
      for (let i = 0; i < 2; i += 1) await putCallback(storage)
      const [first, second] = await worker.claims.claim(worker.number, upTo(2))
      assert.ok(first && second)
      worker.claims.release(first)
      assert.equal(await worker.claims.takeOver(worker.number), 0)
      worker.claims.release(second)
      assert.equal(await worker.claims.takeOver(worker.number), 2)
    })

    it('keeps a claim that is made while it is on its way to the server', async () => {
      const worker = await startWorker()
      await putCallback(storage)
      const { takeOver, claimed } = await withClient(storage.url, async client => {
        await client.query('BEGIN; LOCK TABLE workers')
        const takeOver = worker.claims.takeOver(worker.number)
        await eventually('the statement waits for the table', async () => {
          const { rowCount } = await client.query(`SELECT FROM pg_locks WHERE relation = 'workers'::regclass AND NOT granted`)
          return rowCount === 1
        })
        return { takeOver, claimed: await claimOne(worker) }
      })
      assert.equal(await takeOver, 0)
      assert.equal((await readCallback(storage, claimed.id)).claim_token, claimed.token)
    })
  })

  it('takes nothing in the second after Postgres has come back, when nobody holds a lock yet', async () => {
    const restarted = await openTestStorage()
    try {
      // In front of the real one, for connections made from now on.
      await restarted.query(`CREATE FUNCTION public.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql AS
        $$ SELECT now() - interval '1 second' * (SELECT count(*) FROM callbacks WHERE priority = 1) * 1.1 $$`)
      const [{ name } = { name: '' }] = await restarted.query<{ name: string }>('SELECT current_database() AS name')
      await restarted.query(`ALTER DATABASE ${name} SET search_path = public, pg_catalog`)
      const claims = new CallbackClaims({ prisma: restarted.open().prisma, clock: new DatabaseClock() })
      await putCallback(restarted)
      assert.equal((await claims.claim(77, upTo(1))).length, 1)
      assert.equal(await claims.takeOver(78), 0)
      // A second later.
      await putCallback(restarted, { priority: 1, dueInMs: 60_000 })
      assert.equal(await claims.takeOver(78), 1)
    } finally {
      await restarted.close()
    }
  })
})
