import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { withClient } from '../../../../../test/support/database.ts'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import type { ClaimedCallback } from '../../../domain/processing/claimed-callback.ts'
import { putCallback, readCallback, upTo } from './stored-callbacks.ts'
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
    await storage.query('TRUNCATE callbacks, objects')
    clock = new DatabaseClock()
    claims = new CallbackClaims({ prisma: storage.open().prisma, clock, maxCrashes: 6 })
  })

  after(() => storage.close())

  async function claimOne(): Promise<ClaimedCallback> {
    const [callback, ...others] = await claims.claim(WORKER, upTo(10))
    assert.ok(callback && others.length === 0, 'one callback is due')
    return callback
  }

  describe('claim', () => {
    it('claims callbacks until their objects fill the quota, the last one whole', async () => {
      for (const dueInMs of [-4000, -3000, -2000, -1000]) await putCallback(storage, { objectIds: [1n, 2n, 3n], dueInMs })
      const rest = async (objects: number): Promise<number> => (await claims.claim(WORKER, upTo(10, { objects }))).length
      assert.equal(await rest(3), 1)
      assert.equal(await rest(4), 2)
      assert.equal(await rest(100), 1)
    })

    it('leaves callbacks alone that have been due for less than the quota asks', async () => {
      await putCallback(storage, { dueInMs: -500 })
      const old = await putCallback(storage, { dueInMs: -5000 })
      const claimed = await claims.claim(WORKER, upTo(10, { minAgeMs: 2000 }))
      assert.deepEqual(
        claimed.map(callback => callback.id),
        [old],
      )
    })

    it('claims the most urgent first, and of equally urgent ones the longest due', async () => {
      const ids = new Map<string, string>()
      for (const [name, priority, dueInMs] of [
        ['fourth', -1, -9000],
        ['third', 0, -1000],
        ['second', 0, -2000],
        ['first', 5, -10],
      ] as const) {
        ids.set(await putCallback(storage, { priority, dueInMs }), name)
      }
      const claimed = [
        ...(await claims.claim(WORKER, upTo(1))),
        ...(await claims.claim(WORKER, upTo(2))),
        ...(await claims.claim(WORKER, upTo(2))),
      ]
      assert.deepEqual(
        claimed.map(({ id }) => ids.get(id)),
        ['first', 'second', 'third', 'fourth'],
      )
    })

    it('returns the most urgent first within one claim, whatever the plan of the statement', async () => {
      for (let i = 0; i < 300; i += 1) await putCallback(storage, { priority: i % 3, dueInMs: -1000 - ((i * 7) % 300) })
      await storage.query('ANALYZE callbacks')
      const order = await storage.query<{ id: string; urgency: string }>(
        "SELECT id, priority || ' ' || due_at AS urgency FROM callbacks ORDER BY priority DESC, due_at",
      )
      const urgencies = new Map(order.map(({ id, urgency }) => [id, urgency]))
      const claimed = [...(await claims.claim(WORKER, upTo(32))), ...(await claims.claim(WORKER, upTo(300)))]
      // The order is compared by urgency, not by id: two callbacks that are due in the same microsecond may come in any order.
      assert.deepEqual(
        claimed.map(({ id }) => urgencies.get(id)),
        order.map(({ urgency }) => urgency),
      )
    })

    it('claims nothing before it is due', async () => {
      await putCallback(storage, { dueInMs: 60_000, priority: 9 })
      const due = await putCallback(storage, { dueInMs: -1 })
      assert.equal((await claimOne()).id, due)
    })

    it('returns what the inbox stored, with exact ids in order', async () => {
      const objectIds = [9007199254740993n, -(2n ** 63n), 3n]
      const id = await putCallback(storage, { objectIds })
      await storage.query(
        `UPDATE callbacks SET request_id = 'r', traceparent = 'tp', tracestate = 'ts', baggage = 'b', received_at = to_timestamp(1700000000.123)`,
      )
      const callback = await claimOne()
      assert.deepEqual(callback, {
        id,
        workspace: 'default',
        token: (await readCallback(storage, id)).claim_token,
        attempt: 1,
        crashes: 0,
        missingIds: objectIds,
        unstored: [],
        receivedAtMs: 1_700_000_000_123,
        waitedMs: callback.waitedMs,
        freshFromMs: callback.freshFromMs,
        trace: { traceparent: 'tp', tracestate: 'ts', baggage: 'b' },
        requestId: 'r',
      })
    })

    it('does not list objects as missing that an earlier attempt stored for the same callback', async () => {
      const id = await putCallback(storage, { objectIds: [1n, 2n, 9007199254740993n] })
      const other = randomUUID()
      // An object that another callback stored may be older than this callback, whatever its times say.
      await storage.query(
        `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id)
        SELECT o.id, true, now() + interval '1 hour', now(), now() + interval '1 hour', o.callback_id::uuid
        FROM (VALUES (1, $2), (2, $1), (9007199254740993, $1)) AS o(id, callback_id)`,
        [id, other],
      )
      assert.deepEqual((await claimOne()).missingIds, [1n, 2n, 9007199254740993n])
      await storage.query(`UPDATE callbacks SET state = 'pending' WHERE id = $1`, [id])
      assert.deepEqual((await claimOne()).missingIds, [1n])
    })

    for (const [fact, options, missing] of [
      ['asks again for what was offline where that is not kept: its callback does not know it yet', { keepOffline: false }, [2n]],
      ['does not ask again for what was offline where nothing is said', {}, []],
    ] as const) {
      it(fact, async () => {
        claims = new CallbackClaims({ prisma: storage.open().prisma, clock, maxCrashes: 6, ...options })
        const id = await putCallback(storage, { objectIds: [1n, 2n] })
        await storage.query(
          `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id)
           SELECT id, id = 1, now(), now(), now() + interval '1 hour', $1 FROM generate_series(1, 2) AS o(id)`,
          [id],
        )
        await storage.query('UPDATE callbacks SET attempts = 1')
        assert.deepEqual((await claimOne()).missingIds, missing)
      })
    }

    describe('of what is fresh for a callback', () => {
      it('counts fetches as fresh that left after the callback came', async () => {
        await putCallback(storage)
        await claimOne()
        await storage.query(`UPDATE callbacks SET state = 'pending', received_at = clock_timestamp() - interval '20 s'`)
        const { waitedMs, freshFromMs } = await claimOne()
        assert.ok(waitedMs >= 20_000 && waitedMs < 25_000, `waited ${waitedMs} ms`)
        assert.ok(freshFromMs <= performance.now() - 20_000 + 5000)
      })

      it('counts only fetches after the claim as fresh if the time of receipt is in the future', async () => {
        await putCallback(storage)
        await storage.query(`UPDATE callbacks SET received_at = clock_timestamp() + interval '1 minute'`)
        const before = performance.now()
        const { waitedMs, freshFromMs } = await claimOne()
        assert.equal(waitedMs, 0)
        assert.ok(freshFromMs > before)
      })

      it('counts only fetches after a noticed step of the clock as fresh', async () => {
        // Until now the database's clock was an hour behind, so this is a step forward.
        clock.observe(Date.now() - 3_600_000, performance.now())
        await putCallback(storage)
        await storage.query(`UPDATE callbacks SET received_at = clock_timestamp() - interval '1 hour'`)
        const before = performance.now()
        assert.ok((await claimOne()).freshFromMs > before)
      })
    })

    describe('of suspects', () => {
      beforeEach(async () => {
        for (const crashes of [0, 2, 3, 4, 6]) {
          const id = await putCallback(storage)
          await storage.query('UPDATE callbacks SET crashes = $2, attempts = $2 WHERE id = $1', [id, crashes])
        }
      })

      it('leaves them out, except those that must fail, and does not charge attempts that crashed', async () => {
        const claimed = await claims.claim(WORKER, upTo(10))
        assert.deepEqual(
          claimed.map(({ crashes, attempt }) => [crashes, attempt]),
          [
            [0, 1],
            [2, 1],
            [6, 1],
          ],
        )
      })

      it('claims only those with the given number of crashes', async () => {
        const claimed = await claims.claim(WORKER, { suspects: { crashes: 4, callbacks: 10, objects: 1000, excluded: [] } })
        assert.deepEqual(
          claimed.map(({ crashes }) => crashes),
          [4],
        )
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

    it('gives two workers that claim at once different callbacks, and leaves none out', async () => {
      const ids = await Promise.all(Array.from({ length: 60 }, () => putCallback(storage)))
      const other = new CallbackClaims({ prisma: storage.open().prisma, clock, maxCrashes: 6 })
      const takes = await Promise.all(
        Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? claims.claim(1, upTo(5)) : other.claim(2, upTo(5)))),
      )
      const taken = takes.flat().map(({ id }) => id)
      assert.equal(new Set(taken).size, taken.length)
      // A claim skips rows that another transaction has locked at that moment.
      const rest = await claims.claim(1, upTo(60))
      assert.deepEqual(new Set([...taken, ...rest.map(({ id }) => id)]), new Set(ids))
    })

    it('does not wait for a locked callback', async () => {
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
})
