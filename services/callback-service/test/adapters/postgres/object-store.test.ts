import assert from 'node:assert/strict'
import { withClient } from '../../../../../test/support/database.ts'
import { eventually } from '../../../../../test/support/eventually.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { findObject, listObjects, type Readable } from '../../../adapters/postgres/object-reader.ts'
import type { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import { countLiveObjects } from '../../../adapters/postgres/row-counts.ts'
import { ValueRefusedError } from '../../../domain/storage-errors.ts'
import type { ObjectView } from '../../../domain/stored-object.ts'
import { ASKER, backdate, CALLBACK_ID, newStore } from './new-store.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const OTHER_CALLBACK_ID = '01890a5d-ac96-774b-bcce-b302099a8058'

describe('ObjectStore', () => {
  let storage: TestStorage
  let readable: Readable
  let store: ObjectStore
  let statements: number[]
  let settings: { ttlSeconds: number }

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE objects')
    const database = storage.open()
    readable = { prisma: database.prisma, keepOffline: () => true }
    ;({ store, statements, settings } = newStore(database))
  })

  after(() => storage.close())

  function put(
    id: bigint,
    changes: { online?: boolean; fetchedAtMs?: number; callbackId?: string; workspace?: string } = {},
  ): Promise<void> {
    const { online = true, fetchedAtMs = 1000, callbackId = CALLBACK_ID, workspace = 'default' } = changes
    return store.upsert({ id, online, leftAtMs: fetchedAtMs, fetchedAtMs }, { id: callbackId, workspace })
  }

  describe('upsert', () => {
    it('labels a fetch by the new clock if the clock went back unnoticed, also if the fetch left before all of the step', async () => {
      const clock = new DatabaseClock()
      clock.observe(Date.now() + 2000, performance.now())
      const agoMs = 3000
      const fetched = { leftAtMs: performance.now() - agoMs, fetchedAtMs: Date.now() + 2000 - agoMs }
      await newStore(storage.open(), 30, clock).store.upsert({ id: 5n, online: true, ...fetched }, ASKER)
      const [row] = await storage.query<{ age: number }>(
        'SELECT extract(epoch FROM stored_at - fetched_at)::float8 * 1000 AS age FROM objects',
      )
      assert.ok(row && row.age >= agoMs && row.age < agoMs + 1000, `${row?.age} ms`)
    })

    it('has stored an object with its exact id when it resolves', async () => {
      for (const id of [9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n)]) {
        await put(id)
        assert.deepEqual(await storage.query('SELECT id::text, online, callback_id FROM objects WHERE id = $1', [String(id)]), [
          { id: String(id), online: true, callback_id: CALLBACK_ID },
        ])
      }
    })

    it("makes an object expire exactly its ttl after it was stored, by the database's clock", async () => {
      await Promise.all([put(1n), put(2n)])
      settings.ttlSeconds = 0.25
      await put(3n)
      const rows = await storage.query(`
        SELECT id::int, (extract(epoch FROM expires_at - stored_at) * 1000000)::int AS ttl_us, last_seen_at = stored_at AS is_seen,
          clock_timestamp() - stored_at BETWEEN interval '0' AND interval '5 s' AS is_now, fetched_at = to_timestamp(1) AS is_fetched
        FROM objects ORDER BY id`)
      const facts = { is_seen: true, is_now: true, is_fetched: true }
      assert.deepEqual(rows, [
        { id: 1, ttl_us: 30_000_000, ...facts },
        { id: 2, ttl_us: 30_000_000, ...facts },
        { id: 3, ttl_us: 250_000, ...facts },
      ])
    })

    it('restarts the ttl when an object is fetched again, for the callback that fetched it', async () => {
      await put(1n)
      await backdate(storage, 20_000)
      await put(1n, { fetchedAtMs: 1000, callbackId: OTHER_CALLBACK_ID })
      const [row] = await storage.query(
        `SELECT callback_id, stored_at > clock_timestamp() - interval '5 s' AS is_new, expires_at = stored_at + interval '30 s' AS is_exact FROM objects`,
      )
      assert.deepEqual(row, { callback_id: OTHER_CALLBACK_ID, is_new: true, is_exact: true })
    })

    it('knows when an object was last seen online, also while it is offline', async () => {
      await put(1n, { online: false, fetchedAtMs: 1 })
      assert.equal((await find(1n))?.lastSeenAt, null)
      await put(1n, { online: true, fetchedAtMs: 2 })
      const seen = await find(1n)
      assert.deepEqual(seen?.lastSeenAt, seen?.storedAt)
      await put(1n, { online: false, fetchedAtMs: 3 })
      const gone = await find(1n)
      assert.deepEqual([gone?.online, gone?.lastSeenAt], [false, seen?.lastSeenAt])
      assert.ok(gone && seen && gone.storedAt > seen.storedAt)
    })

    it('does not let an older fetch overwrite a newer one or extend its life', async () => {
      await put(1n, { online: true, fetchedAtMs: 2000 })
      await backdate(storage, 10_000)
      const newer = await find(1n)
      await put(1n, { online: false, fetchedAtMs: 1999, callbackId: OTHER_CALLBACK_ID })
      assert.deepEqual(await find(1n), newer)
      await put(1n, { online: false, fetchedAtMs: 2001, callbackId: OTHER_CALLBACK_ID })
      assert.equal((await find(1n))?.online, false)
    })

    describe('where only online objects are kept', () => {
      beforeEach(() => {
        readable = { ...readable, keepOffline: () => false }
      })

      const visible = async (id: bigint): Promise<unknown[]> => [
        (await find(id))?.online,
        (await listObjects(readable, { workspace: 'default', online: undefined }, { limit: 10, position: undefined })).map(row => row.id),
        await count(),
      ]

      it('hides an object as soon as a fetch finds it offline, and shows it when it is online again', async () => {
        await put(1n, { online: true, fetchedAtMs: 1000 })
        await put(1n, { online: false, fetchedAtMs: 2000 })
        assert.deepEqual(await visible(1n), [undefined, [], 0])
        await put(1n, { online: true, fetchedAtMs: 3000 })
        assert.deepEqual(await visible(1n), [true, ['1'], 1])
      })

      it('does not let an older answer show an object that was found offline', async () => {
        await put(1n, { online: false, fetchedAtMs: 2000 })
        await put(1n, { online: true, fetchedAtMs: 1999 })
        assert.deepEqual(await visible(1n), [undefined, [], 0])
      })
    })

    it('waits for the disk whatever the session says', async () => {
      await storage.query(`
        CREATE TABLE commits (waits_for text);
        CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT ON objects DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_commit()`)
      const careless = storage.open({ maxConnections: 1 })
      await careless.prisma.$queryRaw`SELECT set_config('synchronous_commit', 'off', false)`
      await newStore(careless).store.upsert({ id: 1n, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, ASKER)
      assert.deepEqual(await storage.query('SELECT * FROM commits'), [{ waits_for: 'on' }])
      await storage.query('DROP TRIGGER note_commit ON objects')
    })

    it('stores an answer that left before the clock went back, at its time by the clock as it is now', async () => {
      const clock = new DatabaseClock()
      clock.observe(Date.now() + 60_000, performance.now())
      const leftAtMs = performance.now() - 500
      const stepped = newStore(storage.open(), 30, clock).store
      await stepped.upsert({ id: 1n, online: true, leftAtMs, fetchedAtMs: clock.at(leftAtMs) }, ASKER)
      const [row] = await storage.query<{ ago_ms: number }>(
        'SELECT extract(epoch FROM clock_timestamp() - fetched_at)::float8 * 1000 AS ago_ms FROM objects',
      )
      assert.ok(row && row.ago_ms >= 400 && row.ago_ms < 3000, `fetched ${row?.ago_ms} ms ago`)
    })

    it('stores the newer answer although another replica has moved the older one by a step forward that this one has not noticed', async () => {
      const clock = new DatabaseClock()
      await put(1n, { fetchedAtMs: Date.now() })
      clock.observe(Date.now() - 60_000, performance.now())
      const fetched = { leftAtMs: performance.now(), fetchedAtMs: clock.nowMs() }
      await newStore(storage.open(), 30, clock).store.upsert({ id: 1n, online: false, ...fetched }, ASKER)
      assert.deepEqual(await storage.query('SELECT online FROM objects'), [{ online: false }])
    })

    for (const [what, fetchedAgoMs] of [
      ['fetched', -60_000],
      // The old fetch left when this one seems to be under way: by its times, it would be the newer one.
      ['stored', 1000],
    ] as const) {
      it(`overwrites an object that was ${what} in the future, because the clock has gone back`, async () => {
        await put(1n, { online: true })
        await storage.query(
          `UPDATE objects SET stored_at = stored_at + interval '1 minute', fetched_at = clock_timestamp() - $1 * interval '1 ms'`,
          [fetchedAgoMs],
        )
        await put(1n, { online: false, fetchedAtMs: Date.now() - 2000 })
        assert.equal((await find(1n))?.online, false)
      })
    }

    it('does not let an older fetch overwrite a newer one that another service stores while it waits for the row', async () => {
      await put(1n, { online: true, fetchedAtMs: 1000 })
      await withClient(storage.url, async other => {
        await other.query('BEGIN; SELECT FROM objects FOR UPDATE')
        const older = put(1n, { online: false, fetchedAtMs: 2000 })
        const waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        await eventually('it waits', async () => (await storage.query(waiting)).length === 1)
        await other.query(`UPDATE objects SET fetched_at = to_timestamp(3), stored_at = clock_timestamp(); COMMIT`)
        await older
      })
      assert.equal((await find(1n))?.online, true)
    })

    for (const [order, first, second] of [
      ['older first', 1000, 2000],
      ['newer first', 2000, 1000],
    ] as const) {
      it(`counts the newer of two fetches that share a statement, ${order}`, async () => {
        await Promise.all([
          put(1n, { online: first === 2000, fetchedAtMs: first }),
          put(1n, { online: second === 2000, fetchedAtMs: second }),
        ])
        assert.deepEqual(statements, [2])
        assert.equal((await find(1n))?.online, true)
      })
    }

    it('counts an object as seen if it was online in the older of two fetches that share a statement', async () => {
      await Promise.all([put(1n, { online: true, fetchedAtMs: 1000 }), put(1n, { online: false, fetchedAtMs: 2000 })])
      const object = await find(1n)
      assert.equal(object?.online, false)
      assert.deepEqual(object?.lastSeenAt, object?.storedAt)
    })

    it('stores objects that come within a short time in few statements', async () => {
      await Promise.all(Array.from({ length: 1200 }, (_, i) => put(BigInt(i))))
      assert.deepEqual(
        statements.toSorted((a, b) => b - a),
        [500, 500, 200],
      )
      assert.equal(await count(), 1200)
    })

    it('fails only the object whose value Postgres refuses', async () => {
      const outcomes = await Promise.allSettled([put(1n), put(2n, { callbackId: 'no uuid' }), put(3n)])
      assert.deepEqual(
        outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason instanceof ValueRefusedError : outcome.status)),
        ['fulfilled', true, 'fulfilled'],
      )
      assert.equal(await count(), 2)
    })

    it('does not deadlock when two services store the same objects in opposite orders', async () => {
      const other = newStore(storage.open()).store
      const ids = Array.from({ length: 200 }, (_, i) => BigInt(i))
      for (let round = 0; round < 30; round += 1) {
        const object = (id: bigint) => ({ id, online: true, leftAtMs: 0, fetchedAtMs: round })
        await Promise.all([
          ...ids.map(id => store.upsert(object(id), ASKER)),
          ...ids.toReversed().map(id => other.upsert(object(id), ASKER)),
        ])
      }
      assert.equal(await count(), 200)
    })
  })

  describe('reading', () => {
    it('never shows an object past its time, deleted or not', async () => {
      await Promise.all([put(1n), put(2n)])
      await backdate(storage, 30_000, [1n])
      assert.equal((await storage.query('SELECT FROM objects')).length, 2)
      assert.equal(await find(1n), undefined)
      assert.deepEqual(await list({}), [2n])
      assert.equal(await count(), 1)
      await put(1n)
      assert.equal((await find(1n))?.id, '1')
    })

    it('finds an object by its exact id, and nothing if it is not there', async () => {
      await put(9007199254740993n)
      assert.equal((await find(9007199254740993n))?.id, '9007199254740993')
      assert.equal(await find(9007199254740992n), undefined)
      assert.equal(await find(-(2n ** 63n)), undefined)
    })

    it('gives pages in the order of ids, from the lowest there is', async () => {
      const ids = [-(2n ** 63n), -5n, 0n, 7n, 2n ** 63n - 1n]
      await Promise.all(ids.toReversed().map(id => put(id)))
      assert.deepEqual(await list({ limit: 2 }), ids.slice(0, 2))
      assert.deepEqual(await list({ limit: 2, after: -5n }), ids.slice(2, 4))
      assert.deepEqual(await list({ limit: 2, after: 7n }), ids.slice(4))
      assert.deepEqual(await list({ after: 2n ** 63n - 1n }), [])
    })

    it('returns the same object in a page as alone', async () => {
      await put(-5n)
      await put(6n, { online: false })
      const listed = await listObjects(readable, { workspace: 'default', online: undefined }, { limit: 2, position: undefined })
      assert.deepEqual(listed, [await find(-5n), await find(6n)])
    })

    it('gives the page before a place in the same order, its nearest neighbours at the end', async () => {
      await Promise.all([1n, 2n, 3n, 4n].map(id => put(id)))
      assert.deepEqual(await list({ limit: 2, before: 4n }), [2n, 3n])
      assert.deepEqual(await list({ limit: 2, before: 1n }), [])
    })

    it('shows the online ones, the others, or all', async () => {
      await Promise.all([1n, 2n, 3n, 4n].map(id => put(id, { online: id % 2n === 0n })))
      assert.deepEqual(await list({ online: true }), [2n, 4n])
      assert.deepEqual(await list({ online: false, after: 1n }), [3n])
      assert.deepEqual(await list({}), [1n, 2n, 3n, 4n])
    })
  })

  describe('with two workspaces', () => {
    const inShop = { workspace: 'shop' }

    it('keeps an object of each under the same id', async () => {
      await Promise.all([put(7n, { online: true }), put(7n, { ...inShop, online: false })])
      assert.equal((await findObject(readable, 'default', 7n))?.online, true)
      assert.equal((await findObject(readable, 'shop', 7n))?.online, false)
      assert.equal(await findObject(readable, 'Shop', 7n), undefined)
    })

    it('lists only those of one', async () => {
      await Promise.all([put(1n), put(2n, inShop), put(3n)])
      assert.deepEqual(await list({}), [1n, 3n])
      const shop = await listObjects(readable, { workspace: 'shop', online: undefined }, { limit: 10, position: undefined })
      assert.deepEqual(
        shop.map(({ id }) => id),
        ['2'],
      )
    })

    it('gives each object the ttl of its workspace, and deletes it then, alone', async () => {
      const { store } = newStore(storage.open(), workspace => (workspace === 'shop' ? 60 : 30))
      const object = { id: 7n, online: true, leftAtMs: 0, fetchedAtMs: 1000 }
      await Promise.all([store.upsert(object, ASKER), store.upsert(object, { ...ASKER, ...inShop })])
      await backdate(storage, 30_000)
      assert.equal((await store.deleteExpired(10)).latenessMs.length, 1)
      assert.deepEqual(await storage.query('SELECT workspace FROM objects'), [{ workspace: 'shop' }])
    })

    it('counts as live what readers of each see', async () => {
      await storage.query(`INSERT INTO workspaces (name, keep_offline) VALUES ('shop', false), ('depot', NULL)`)
      await Promise.all(['default', 'shop', 'depot'].map((workspace, i) => put(BigInt(i), { workspace, online: false })))
      assert.equal((await countLiveObjects({ prisma: readable.prisma, keepOffline: true })).counts, 2)
      assert.equal((await countLiveObjects({ prisma: readable.prisma, keepOffline: false })).counts, 0)
    })
  })

  function find(id: bigint): Promise<ObjectView | undefined> {
    return findObject(readable, 'default', id)
  }

  async function count(): Promise<number> {
    return (await countLiveObjects({ prisma: readable.prisma, keepOffline: readable.keepOffline('default') })).counts
  }

  async function list(page: { online?: boolean; after?: bigint; before?: bigint; limit?: number }): Promise<bigint[]> {
    const direction = page.before === undefined ? 'after' : 'before'
    const key = page.before ?? page.after
    const position = key === undefined ? undefined : ({ direction, key } as const)
    const objects = await listObjects(readable, { workspace: 'default', online: page.online }, { limit: page.limit ?? 100, position })
    return objects.map(({ id }) => BigInt(id))
  }
})
