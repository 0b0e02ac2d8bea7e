import assert from 'node:assert/strict'
import { eventually } from '../../../../../test/support/eventually.ts'
import { TcpProxy } from '../../../../../test/support/tcp-proxy.ts'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { WorkerSession } from '../../../adapters/postgres/worker-session.ts'
import type { ClaimedCallback } from '../../../domain/processing/claimed-callback.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
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

  /** Starts a worker with a lock, and with a lease that is not renewed during the test. */
  async function startWorker(): Promise<TestWorker> {
    const session = new WorkerSession({ url: storage.url, leaseMs: 3_600_000, logger })
    sessions.push(session)
    session.start()
    await eventually('the worker has a number', () => session.workerNumber !== undefined)
    const claims = new CallbackClaims({ prisma: storage.open({ url: proxy.url }).prisma, clock: new DatabaseClock(), maxCrashes: 6 })
    return { session, claims, number: session.workerNumber as number }
  }

  async function claimOne({ claims, number }: TestWorker): Promise<ClaimedCallback> {
    const [callback] = await claims.claim(number, upTo(1))
    assert.ok(callback, 'a callback is due')
    return callback
  }

  it('gives the callbacks of a dead worker back, due at once, with one crash more and no charge', async () => {
    const [dead, living] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage, { dueInMs: -60_000 })
    await claimOne(dead)
    assert.equal(await living.claims.takeOver(living.number, [dead.number]), 1)
    const { state, claimed_by: claimedBy, claim_token: token, due_in_ms: dueInMs } = await readCallback(storage, id)
    assert.deepEqual([state, claimedBy, token], ['pending', null, null])
    assert.ok(dueInMs <= 0 && dueInMs > -5000, `due in ${dueInMs} ms`)
    const again = await claimOne(living)
    assert.deepEqual([again.attempt, again.crashes], [1, 1])
  })

  it('leaves callbacks that agents have leased alone', async () => {
    const [dead, living] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage)
    await storage.query(
      `UPDATE callbacks SET state = 'running', agent_id = gen_random_uuid(), claim_token = gen_random_uuid(), leased_at = now() WHERE id = $1`,
      [id],
    )
    assert.equal(await living.claims.takeOver(living.number, [dead.number]), 0)
    assert.deepEqual(await living.claims.claim(living.number, upTo(1)), [])
    assert.equal((await readCallback(storage, id)).state, 'running')
  })

  it('leaves the callbacks of all other workers alone, whatever their leases say', async () => {
    const [slow, other] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage)
    const callback = await claimOne(slow)
    await storage.query(`UPDATE workers SET lease_expires_at = now() - interval '1 hour'`)
    await storage.query(`UPDATE callbacks SET due_at = now() - interval '1 day', received_at = now() - interval '1 day'`)
    assert.equal(await other.claims.takeOver(other.number, []), 0)
    assert.equal((await readCallback(storage, id)).claim_token, callback.token)
  })

  it('counts no crash if the worker turns out to be alive', async () => {
    const [silent, other] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage)
    const callback = await claimOne(silent)
    await other.claims.takeOver(other.number, [silent.number])
    assert.equal((await claimOne(other)).crashes, 1)
    assert.equal(await silent.claims.settle(callback, { state: 'completed', unstored: [] }), undefined)
    const [row] = await storage.query('SELECT state, crashes, attempts FROM callbacks WHERE id = $1', [id])
    assert.deepEqual(row, { state: 'running', crashes: 0, attempts: 1 })
  })

  it('lets a worker that was declared dead change nothing', async () => {
    const [zombie, successor] = [await startWorker(), await startWorker()]
    const id = await putCallback(storage)
    const stale = await claimOne(zombie)
    await successor.claims.takeOver(successor.number, [zombie.number])
    const settleStale = () => zombie.claims.settle(stale, { state: 'failed', unstored: [{ id: 1n, outcome: 'failed' }] })
    assert.equal(await settleStale(), undefined, 'while it waits to be claimed again')
    const fresh = await claimOne(successor)
    assert.equal(await settleStale(), undefined, 'while the successor works on it')
    const { state, unstored, claim_token: token } = await readCallback(storage, id)
    assert.deepEqual([state, unstored, token], ['running', null, fresh.token])
    assert.equal(await successor.claims.settle(fresh, { state: 'completed', unstored: [] }), 'completed')
    assert.equal(await settleStale(), undefined, 'after it has completed')
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
      assert.equal(await worker.claims.takeOver(worker.number, []), 1)
      const { state, attempts } = await readCallback(storage, id)
      assert.deepEqual([state, attempts], ['pending', 0])
      assert.equal((await readCallback(storage, known.id)).claim_token, known.token)
    })

    it('charges no claim whose answer was lost, even if its row is locked the first time', async () => {
      const worker = await startWorker()
      await putCallback(storage)
      await claimOne(worker)
      const id = await putCallback(storage)
      const lost = proxy.loseNextAnswer()
      await assert.rejects(worker.claims.claim(worker.number, upTo(1)), StorageUnavailableError)
      await lost
      const [locked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const other = storage.open().prisma.$transaction(async tx => {
        await tx.$queryRaw`SELECT FROM callbacks WHERE id = ${id}::uuid FOR UPDATE`
        locked.resolve()
        await held.promise
      })
      await locked.promise
      assert.equal(await worker.claims.takeOver(worker.number, []), 0)
      held.resolve()
      await other
      assert.equal(await worker.claims.takeOver(worker.number, []), 1)
      assert.equal((await readCallback(storage, id)).attempts, 0)
    })

    it('keeps a claim until the last of its callbacks is released', async () => {
      const worker = await startWorker()
      for (let i = 0; i < 2; i += 1) await putCallback(storage)
      const [first, second] = await worker.claims.claim(worker.number, upTo(5))
      assert.ok(first && second)
      worker.claims.release(first)
      assert.equal(await worker.claims.takeOver(worker.number, []), 0)
      worker.claims.release(second)
      assert.equal(await worker.claims.takeOver(worker.number, []), 2)
      const charged = await storage.query('SELECT DISTINCT attempts, crashes FROM callbacks')
      assert.deepEqual(charged, [{ attempts: 1, crashes: 0 }], 'what could not be settled is charged')
    })

    it('keeps a claim whose answer is still to come', async () => {
      const { number } = await startWorker()
      const { prisma } = storage.open()
      const [claimed, arrival] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const late = Object.create(prisma, {
        $queryRaw: {
          value: async (...statement: Parameters<typeof prisma.$queryRaw>) => {
            const rows = await prisma.$queryRaw(...statement)
            claimed.resolve()
            await arrival.promise
            return rows
          },
        },
      }) as typeof prisma
      const claims = new CallbackClaims({ prisma: late, clock: new DatabaseClock(), maxCrashes: 6 })
      await putCallback(storage)
      const claim = claims.claim(number, upTo(1))
      await claimed.promise
      assert.equal(await claims.takeOver(number, []), 0)
      arrival.resolve()
      const [callback] = await claim
      assert.equal((await readCallback(storage, callback?.id ?? '')).claim_token, callback?.token)
    })

    it('keeps a claim that is made while it is on its way to the server', async () => {
      const { number } = await startWorker()
      const { prisma } = storage.open()
      const arrival = Promise.withResolvers<void>()
      // This statement is late.
      const late = Object.create(prisma, {
        $executeRaw: {
          value: async (...statement: Parameters<typeof prisma.$executeRaw>) =>
            arrival.promise.then(() => prisma.$executeRaw(...statement)),
        },
      }) as typeof prisma
      const claims = new CallbackClaims({ prisma: late, clock: new DatabaseClock(), maxCrashes: 6 })
      await putCallback(storage)
      const takeOver = claims.takeOver(number, [])
      const [claimed] = await claims.claim(number, upTo(1))
      arrival.resolve()
      assert.equal(await takeOver, 0)
      assert.equal((await readCallback(storage, claimed?.id ?? '')).claim_token, claimed?.token)
    })
  })
})
