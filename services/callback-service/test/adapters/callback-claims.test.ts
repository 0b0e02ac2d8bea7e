import assert from 'node:assert/strict'
import { withClient } from '../../../../test/support/database.ts'
import { CallbackClaims } from '../../adapters/callback-claims.ts'
import { DatabaseClock } from '../../adapters/database-clock.ts'
import type { ClaimedCallback, Unstored } from '../../domain/claimed-callback.ts'
import { ValueRefusedError } from '../../domain/storage-errors.ts'
import { putCallback, readCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const WORKER = 1

describe('CallbackClaims', () => {
  let storage: TestStorage
  let clock: DatabaseClock
  let claims: CallbackClaims

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('DELETE FROM callbacks')
    clock = new DatabaseClock()
    claims = new CallbackClaims({ prisma: storage.open().prisma, clock })
  })

  after(() => storage.close())

  async function claimOne(): Promise<ClaimedCallback> {
    const [callback, ...others] = await claims.claim(WORKER, 10)
    assert.ok(callback && others.length === 0, 'one callback is due')
    return callback
  }

  describe('claim', () => {
    it('takes the most urgent first, and of those the longest due', async () => {
      const ids = new Map<string, string>()
      for (const [name, priority, dueInMs] of [
        ['fourth', -1, -9000],
        ['third', 0, -1000],
        ['second', 0, -2000],
        ['first', 5, -10],
      ] as const) {
        ids.set(await putCallback(storage, { priority, dueInMs }), name)
      }
      const claimed = [...(await claims.claim(WORKER, 1)), ...(await claims.claim(WORKER, 2)), ...(await claims.claim(WORKER, 2))]
      assert.deepEqual(
        claimed.map(({ id }) => ids.get(id)),
        ['first', 'second', 'third', 'fourth'],
      )
    })

    it('starts with the most urgent also within one claim, however the statement runs', async () => {
      for (let i = 0; i < 300; i += 1) await putCallback(storage, { priority: i % 3, dueInMs: -1000 - ((i * 7) % 300) })
      await storage.query('ANALYZE callbacks')
      const order = await storage.query<{ id: string }>('SELECT id FROM callbacks ORDER BY priority DESC, due_at')
      const claimed = [...(await claims.claim(WORKER, 32)), ...(await claims.claim(WORKER, 300))]
      assert.deepEqual(
        claimed.map(({ id }) => id),
        order.map(({ id }) => id),
      )
    })

    it('takes nothing before its time', async () => {
      await putCallback(storage, { dueInMs: 60_000, priority: 9 })
      const due = await putCallback(storage, { dueInMs: -1 })
      assert.equal((await claimOne()).id, due)
    })

    it('gives what the door wrote down, ids exact and in order', async () => {
      const objectIds = [9007199254740993n, -(2n ** 63n), 3n]
      const id = await putCallback(storage, { objectIds })
      await storage.query(
        `UPDATE callbacks SET request_id = 'r', traceparent = 'tp', tracestate = 'ts', baggage = 'b', received_at = to_timestamp(1700000000.123)`,
      )
      const callback = await claimOne()
      assert.deepEqual(callback, {
        id,
        token: (await readCallback(storage, id)).claim_token,
        attempt: 1,
        missingIds: objectIds,
        unstored: [],
        receivedAtMs: 1_700_000_000_123,
        trace: { traceparent: 'tp', tracestate: 'ts', baggage: 'b' },
        requestId: 'r',
      })
    })

    it('takes a callback without ids', async () => {
      await putCallback(storage, { objectIds: [] })
      assert.deepEqual((await claimOne()).missingIds, [])
    })

    it('learns the time of the database', async () => {
      await putCallback(storage)
      await claimOne()
      const [row] = await storage.query<{ ms: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms')
      const behindMs = (row?.ms ?? 0) - clock.nowMs()
      assert.ok(Math.abs(behindMs) < 1000, `${behindMs} ms behind`)
    })

    it('gives two workers that claim at once different callbacks, and all of them', async () => {
      const ids = await Promise.all(Array.from({ length: 60 }, () => putCallback(storage)))
      const other = new CallbackClaims({ prisma: storage.open().prisma, clock })
      const takes = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? claims.claim(1, 5) : other.claim(2, 5))))
      const taken = takes.flat().map(({ id }) => id)
      assert.equal(new Set(taken).size, taken.length)
      // What was locked by another at that moment was skipped, not waited for.
      const rest = await claims.claim(1, 60)
      assert.deepEqual(new Set([...taken, ...rest.map(({ id }) => id)]), new Set(ids))
    })

    it('does not wait for a callback that somebody holds', async () => {
      const held = await putCallback(storage, { dueInMs: -9000 })
      const free = await putCallback(storage)
      await withClient(storage.url, async client => {
        await client.query('BEGIN')
        await client.query('SELECT FROM callbacks WHERE id = $1 FOR UPDATE', [held])
        assert.equal((await claimOne()).id, free)
      })
      assert.equal((await claimOne()).id, held)
    })
  })

  describe('settle', () => {
    it('finishes a callback, with what became of its objects', async () => {
      for (const state of ['completed', 'failed'] as const) {
        const id = await putCallback(storage)
        const callback = await claimOne()
        assert.equal(await claims.settle(callback, { state, unstored: [{ id: 2n, outcome: 'failed', reason: 'http_403' }] }), true)
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

    it('gives an attempt back that is not to be charged, and takes it again at once where there is no delay', async () => {
      await putCallback(storage)
      const first = await claimOne()
      await claims.settle(first, { state: 'pending', unstored: [], delayMs: 0, isCharged: false })
      const second = await claimOne()
      assert.deepEqual([first.attempt, second.attempt], [1, 1])
      await claims.settle(second, { state: 'pending', unstored: [], delayMs: 0, isCharged: true })
      assert.equal((await claimOne()).attempt, 2)
    })

    it('keeps what is known for good, and asks next time only for what is pending, ids exact', async () => {
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
      const forged = { ...callback, token: '00000000-0000-4000-8000-000000000000' }
      assert.equal(await claims.settle(forged, { state: 'completed', unstored: [] }), false)
      const { due_in_ms: _, ...after } = await readCallback(storage, id)
      assert.deepEqual({ ...after, due_in_ms: before.due_in_ms }, before)
    })

    it('changes nothing the second time', async () => {
      await putCallback(storage)
      const callback = await claimOne()
      assert.equal(await claims.settle(callback, { state: 'completed', unstored: [] }), true)
      assert.equal(await claims.settle(callback, { state: 'failed', unstored: [] }), false)
      assert.equal((await readCallback(storage, callback.id)).state, 'completed')
    })

    it('tells each of many that settle at once its own outcome', async () => {
      await Promise.all(Array.from({ length: 30 }, () => putCallback(storage)))
      const claimed = await claims.claim(WORKER, 30)
      const settled = await Promise.all(
        claimed.map((callback, i) =>
          claims.settle(i % 3 === 0 ? { ...callback, token: '00000000-0000-4000-8000-000000000000' } : callback, {
            state: 'completed',
            unstored: [],
          }),
        ),
      )
      assert.deepEqual(
        settled,
        claimed.map((_, i) => i % 3 !== 0),
      )
    })

    it('settles the others when Postgres refuses one', async () => {
      await Promise.all(Array.from({ length: 8 }, () => putCallback(storage)))
      const claimed = await claims.claim(WORKER, 8)
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

  it('forgets only callbacks that finished longer ago than the retention, so many at a time', async () => {
    const kept = await Promise.all([
      putCallback(storage, { dueInMs: -9_000_000 }),
      putCallback(storage, { finishedAgoMs: 3_590_000 }),
      putCallback(storage, { finishedAgoMs: 0 }),
    ])
    for (let i = 0; i < 5; i += 1) await putCallback(storage, { finishedAgoMs: 3_601_000 + i })
    const counts: number[] = []
    for (let i = 0; i < 4; i += 1) counts.push(await claims.prune(3600, 2))
    assert.deepEqual(counts, [2, 2, 1, 0])
    const left = await storage.query<{ id: string }>('SELECT id FROM callbacks')
    assert.deepEqual(new Set(left.map(({ id }) => id)), new Set(kept))
  })

  it('counts what is not finished', async () => {
    await putCallback(storage)
    await claimOne()
    await putCallback(storage, { dueInMs: 60_000 })
    await putCallback(storage, { finishedAgoMs: 10 })
    assert.equal(await claims.countUnfinished(), 2)
  })
})
