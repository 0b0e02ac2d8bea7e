import assert from 'node:assert/strict'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import type { ClaimedCallback, Unstored } from '../../../domain/processing/claimed-callback.ts'
import { ValueRefusedError } from '../../../domain/storage-errors.ts'
import { putCallback, readCallback, upTo } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const WORKER = 1
const NO_TOKEN = '00000000-0000-4000-8000-000000000000'

describe('CallbackClaims.settle', () => {
  let storage: TestStorage
  let claims: CallbackClaims

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks')
    claims = new CallbackClaims({ prisma: storage.open().prisma, clock: new DatabaseClock(), maxCrashes: 6 })
  })

  after(() => storage.close())

  async function claimOne(): Promise<ClaimedCallback> {
    const [callback, ...others] = await claims.claim(WORKER, upTo(10))
    assert.ok(callback && others.length === 0, 'one callback is due')
    return callback
  }

  it('finishes a callback with the outcomes of its objects', async () => {
    for (const state of ['completed', 'failed'] as const) {
      const id = await putCallback(storage)
      const callback = await claimOne()
      assert.equal(await claims.settle(callback, { state, unstored: [{ id: 2n, outcome: 'failed', reason: 'http_403' }] }), state)
      const row = await readCallback(storage, id)
      assert.deepEqual([row.state, row.is_finished, row.attempts, row.claimed_by, row.claim_token], [state, true, 1, null, null])
      assert.deepEqual(row.unstored, [{ id: '2', outcome: 'failed', reason: 'http_403' }])
    }
  })

  it('puts a callback back for later, its attempt charged', async () => {
    const id = await putCallback(storage)
    await claims.settle(await claimOne(), { state: 'pending', unstored: [], delayMs: 60_000, isCharged: true })
    const { state, attempts, due_in_ms: dueInMs, is_finished: isFinished } = await readCallback(storage, id)
    assert.deepEqual([state, attempts, isFinished], ['pending', 1, false])
    assert.ok(dueInMs > 55_000 && dueInMs <= 60_000, `due in ${dueInMs} ms`)
  })

  it('leaves the crashes that a callback was in as they are', async () => {
    const id = await putCallback(storage)
    await storage.query('UPDATE callbacks SET crashes = 1, attempts = 1')
    await claims.settle(await claimOne(), { state: 'pending', unstored: [], delayMs: 0, isCharged: true })
    assert.deepEqual(await storage.query('SELECT id, crashes, attempts FROM callbacks'), [{ id, crashes: 1, attempts: 2 }])
  })

  it('gives an attempt back that is not to be charged, and takes it again at once where there is no delay', async () => {
    await putCallback(storage)
    const first = await claimOne()
    await claims.settle(first, { state: 'pending', unstored: [], delayMs: 0, isCharged: false })
    const second = await claimOne()
    assert.deepEqual([first.attempt, second.attempt], [1, 1])
    await claims.settle(second, { state: 'pending', unstored: [], delayMs: 0, isCharged: true })
    assert.equal((await claimOne()).attempt, 2)
  })

  it('keeps final outcomes, and lists only pending objects next time, with exact ids', async () => {
    await putCallback(storage, { objectIds: [1n, 2n, 9007199254740993n, -(2n ** 63n)] })
    const unstored: Unstored[] = [
      { id: 9007199254740993n, outcome: 'pending', reason: 'http_503' },
      { id: 2n, outcome: 'not_found' },
      { id: -(2n ** 63n), outcome: 'pending', reason: 'timeout' },
    ]
    await claims.settle(await claimOne(), { state: 'pending', unstored, delayMs: 0, isCharged: true })
    const again = await claimOne()
    assert.deepEqual(again.missingIds, [9007199254740993n, -(2n ** 63n)])
    assert.deepEqual(again.unstored, [{ id: 2n, outcome: 'not_found' }])
  })

  it('changes nothing without the token of the claim, and says so', async () => {
    const id = await putCallback(storage)
    const callback = await claimOne()
    const before = await readCallback(storage, id)
    const forged = { ...callback, token: NO_TOKEN }
    assert.equal(await claims.settle(forged, { state: 'completed', unstored: [] }), undefined)
    const { due_in_ms: _, ...after } = await readCallback(storage, id)
    assert.deepEqual({ ...after, due_in_ms: before.due_in_ms }, before)
  })

  it('changes nothing the second time', async () => {
    await putCallback(storage)
    const callback = await claimOne()
    assert.equal(await claims.settle(callback, { state: 'completed', unstored: [] }), 'completed')
    assert.equal(await claims.settle(callback, { state: 'failed', unstored: [] }), undefined)
    assert.equal((await readCallback(storage, callback.id)).state, 'completed')
  })

  it('returns to each of many that settle at once its own outcome', async () => {
    await Promise.all(Array.from({ length: 30 }, () => putCallback(storage)))
    const claimed = await claims.claim(WORKER, upTo(30))
    const settled = await Promise.all(
      claimed.map((callback, i) =>
        claims.settle(i % 3 === 0 ? { ...callback, token: NO_TOKEN } : callback, {
          state: 'completed',
          unstored: [],
        }),
      ),
    )
    assert.deepEqual(
      settled,
      claimed.map((_, i) => (i % 3 === 0 ? undefined : 'completed')),
    )
  })

  it('settles only the present of two claims of a callback, also when both settle at once', async () => {
    await putCallback(storage)
    const stale = await claimOne()
    claims.release(stale)
    await claims.takeOver(WORKER, [])
    const fresh = await claimOne()
    const settled = await Promise.all([
      claims.settle({ ...fresh, id: NO_TOKEN }, { state: 'failed', unstored: [] }),
      claims.settle(stale, { state: 'failed', unstored: [] }),
      claims.settle(fresh, { state: 'completed', unstored: [] }),
    ])
    assert.deepEqual(settled, [undefined, undefined, 'completed'])
  })

  it('settles the others when Postgres refuses one', async () => {
    await Promise.all(Array.from({ length: 8 }, () => putCallback(storage)))
    const claimed = await claims.claim(WORKER, upTo(8))
    const settled = await Promise.allSettled(
      claimed.map((callback, i) =>
        claims.settle(callback, {
          state: 'completed',
          unstored: [{ id: 1n, outcome: 'failed', reason: i === 5 ? '\u0000' : 'http_403' }],
        }),
      ),
    )
    const refused = settled.flatMap((outcome, i) => (outcome.status === 'rejected' ? [{ i, reason: outcome.reason as unknown }] : []))
    assert.deepEqual(
      refused.map(({ i }) => i),
      [5],
    )
    assert.ok(refused[0]?.reason instanceof ValueRefusedError, String(refused[0]?.reason))
  })
})
