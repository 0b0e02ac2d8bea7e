import assert from 'node:assert/strict'
import { withClient } from '../../../../../test/support/database.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import type { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import { ASKER, backdate, CALLBACK_ID, newStore } from './new-store.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const TTL_MS = 30_000

describe('ObjectStore.deleteExpired', () => {
  let storage: TestStorage
  let store: ObjectStore

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE objects')
    store = newStore(storage.open()).store
  })

  after(() => storage.close())

  async function put(...ids: bigint[]): Promise<void> {
    await Promise.all(ids.map(id => store.upsert({ id, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, ASKER)))
  }

  async function left(): Promise<bigint[]> {
    const rows = await storage.query<{ id: string }>('SELECT id FROM objects ORDER BY id')
    return rows.map(({ id }) => BigInt(id))
  }

  it('deletes expired objects, says how late, and keeps the rest', async () => {
    await put(1n, 2n, 3n)
    await backdate(storage, TTL_MS + 250, [1n])
    await backdate(storage, TTL_MS + 4000, [2n])
    const { latenessMs } = await store.deleteExpired(100)
    assert.deepEqual(await left(), [3n])
    const [less = 0, more = 0] = latenessMs.toSorted((a, b) => a - b)
    assert.equal(latenessMs.length, 2)
    assert.ok(less >= 250 && less < 1250 && more >= 4000 && more < 5000, latenessMs.join(', '))
  })

  it('deletes an object neither before its time nor much after it', async () => {
    const brief = newStore(storage.open(), 0.2).store
    await brief.upsert({ id: 1n, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, ASKER)
    let latenessMs: readonly number[] = []
    while (latenessMs.length === 0) {
      const pass = await brief.deleteExpired(100)
      latenessMs = pass.latenessMs
      if (latenessMs.length === 0) assert.ok(pass.nextInMs !== undefined && pass.nextInMs <= 200, `next in ${pass.nextInMs} ms`)
    }
    assert.ok(
      latenessMs.every(ms => ms >= 0 && ms < 1000),
      latenessMs.join(', '),
    )
    assert.deepEqual(await left(), [])
  })

  it('keeps an object that only seems expired because the clock went forward, and deletes it when it expires', async () => {
    await put(1n)
    await backdate(storage, TTL_MS + 5000)
    // Until a moment ago, the clock of the database was ten seconds behind.
    const stepped = new DatabaseClock()
    stepped.observe(Date.now() - 10_000, performance.now())
    const unaware = newStore(storage.open(), 30, stepped).store
    assert.deepEqual((await unaware.deleteExpired(100)).latenessMs, [])
    assert.ok(stepped.step, 'the answer shows the step')
    assert.deepEqual((await unaware.deleteExpired(100)).latenessMs, [], 'the stored times are not moved yet')
    stepped.forgetStep(stepped.step.byMs)
    assert.equal((await unaware.deleteExpired(100)).latenessMs.length, 1)
  })

  it('says when the next object expires, or that there is none', async () => {
    assert.deepEqual(await store.deleteExpired(100), { latenessMs: [], nextInMs: undefined })
    await put(1n, 2n, 3n)
    await backdate(storage, 10_000, [2n])
    await backdate(storage, TTL_MS, [3n])
    const { latenessMs, nextInMs = 0 } = await store.deleteExpired(100)
    assert.equal(latenessMs.length, 1)
    assert.ok(nextInMs > 15_000 && nextInMs <= 20_000, `next in ${nextInMs} ms`)
  })

  it('deletes at most the limit at a time, the longest overdue first', async () => {
    await put(1n, 2n, 3n, 4n, 5n)
    for (const id of [1n, 2n, 3n, 4n, 5n]) await backdate(storage, TTL_MS + Number(id) * 1000, [id])
    assert.equal((await store.deleteExpired(2)).latenessMs.length, 2)
    assert.deepEqual(await left(), [1n, 2n, 3n])
    assert.equal((await store.deleteExpired(3)).latenessMs.length, 3)
    assert.equal((await store.deleteExpired(3)).latenessMs.length, 0)
  })

  it('deletes each object once where two services do it at the same time', async () => {
    await storage.query(
      `INSERT INTO objects SELECT i, true, now(), now(), now() - interval '1 minute', now() - interval '30 s', $1 FROM generate_series(1, 3000) i`,
      [CALLBACK_ID],
    )
    const deleteAll = async (by: ObjectStore): Promise<number> => {
      let sum = 0
      for (;;) {
        const { latenessMs } = await by.deleteExpired(100)
        // A pass may delete nothing because the other one has locked every row. So the rows left count too.
        if (latenessMs.length === 0 && (await left()).length === 0) return sum
        sum += latenessMs.length
      }
    }
    const sums = await Promise.all([deleteAll(store), deleteAll(newStore(storage.open()).store)])
    assert.equal(sums[0] + sums[1], 3000)
    assert.ok(Math.min(...sums) > 0, `both took part: ${sums.join(' and ')}`)
  })

  it('does not wait for a locked object, and spares it if it is renewed meanwhile', async () => {
    await put(1n, 2n)
    await backdate(storage, TTL_MS)
    await withClient(storage.url, async client => {
      await client.query(`BEGIN; UPDATE objects SET expires_at = now() + interval '30 s' WHERE id = 1`)
      assert.equal((await store.deleteExpired(100)).latenessMs.length, 1)
      await client.query('COMMIT')
    })
    assert.equal((await store.deleteExpired(100)).latenessMs.length, 0)
    assert.deepEqual(await left(), [1n])
  })

  it('spares an object that is renewed during the deletion, whichever comes first', async () => {
    const other = newStore(storage.open()).store
    const ids = Array.from({ length: 20 }, (_, i) => BigInt(i))
    for (let round = 0; round < 50; round += 1) {
      await put(...ids)
      await backdate(storage, TTL_MS)
      const renewed = put(...ids)
      let isRenewed = false
      void renewed.then(() => {
        isRenewed = true
      })
      while (!isRenewed) await other.deleteExpired(7)
      await renewed
      assert.deepEqual(await left(), ids, `round ${round}`)
    }
  })
})
