import assert from 'node:assert/strict'
import type { PrismaClient } from '#prisma'
import type { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import { ASKER } from './new-store.ts'

describe('ObjectStore, by what the database answers', () => {
  let answers: object[][]
  /** The values of each statement. */
  let asked: unknown[][]
  let observed: number[]
  let clock: { steppedAtMs: number }

  beforeEach(() => {
    answers = []
    asked = []
    observed = []
    clock = { steppedAtMs: Number.NEGATIVE_INFINITY }
  })

  function storeOn(options: { keepOffline?: boolean } = {}): ObjectStore {
    const $queryRaw = async (_sql: unknown, ...values: unknown[]): Promise<object[]> => {
      asked.push(values)
      return answers.shift() ?? []
    }
    Object.assign(clock, {
      latestNowMs: () => 5000,
      earliestNowMs: () => Number.NEGATIVE_INFINITY,
      at: (ms: number) => ms + 1_000_000,
      observe: (nowMs: number, sentMs: number) => {
        assert.ok(sentMs <= performance.now())
        observed.push(nowMs)
      },
    })
    return new ObjectStore({
      prisma: { $queryRaw } as unknown as PrismaClient,
      clock: clock as unknown as DatabaseClock,
      ttlSeconds: () => 30,
      onStored: () => undefined,
      ...options,
    })
  }

  const put = (store: ObjectStore, changes: { id?: bigint; online?: boolean; leftAtMs?: number } = {}): Promise<void> =>
    store.upsert({ id: 1n, online: true, leftAtMs: 10, fetchedAtMs: 500, ...changes }, ASKER)

  /** The rows of the statement, as they travel. */
  function rowsOf(values: unknown[] | undefined): { id: string; online: boolean; seen: boolean; fetched_ms: number }[] {
    return JSON.parse(values?.find(value => typeof value === 'string' && value.startsWith('[')) as string)
  }

  it('learns the time of the database from what it stores and what it deletes', async () => {
    answers = [[{ now_ms: 7, is_written: true }], [{ expired: null, next_in_ms: null, now_ms: 8 }]]
    const store = storeOn()
    await put(store)
    await store.deleteExpired(10)
    assert.deepEqual(observed, [7, 8])
  })

  it('tries once more where the clock went back', async () => {
    answers = [[{ now_ms: 7, is_written: false }], [{ now_ms: 8, is_written: true }]]
    await put(storeOn())
    assert.deepEqual([asked.length, observed], [2, [7, 8]])
  })

  it('tries once more where the answer shows that the clock went forward', async () => {
    answers = [[{ now_ms: 7, is_written: true }], [{ now_ms: 8, is_written: true }]]
    const store = storeOn()
    Object.assign(clock, {
      observe: (nowMs: number, sentMs: number) => {
        if (nowMs === 7) clock.steppedAtMs = sentMs
      },
    })
    await put(store)
    assert.deepEqual(rowsOf(asked[1])[0]?.fetched_ms, 1_000_010)
  })

  it('says so where the clock goes on to go back, or the database says nothing', async () => {
    answers = [[{ now_ms: 7, is_written: false }], []]
    const message = "the database's clock stepped while objects were stored"
    await assert.rejects(put(storeOn()), { code: 'storage_unavailable', message })
    assert.equal(asked.length, 2)
  })

  it('has the time of a fetch that left before the clock stepped by the clock as it is now', async () => {
    answers = [[{ now_ms: 7, is_written: true }]]
    clock.steppedAtMs = 10
    const store = storeOn()
    await Promise.all([put(store, { id: 1n, leftAtMs: 9 }), put(store, { id: 2n, leftAtMs: 10 }), put(store, { id: 3n, leftAtMs: 11 })])
    assert.deepEqual(
      rowsOf(asked[0]).map(row => row.fetched_ms),
      [1_000_009, 1_000_010, 500],
    )
    // The latest of them decides whether the statement is from the future.
    assert.ok(asked[0]?.includes(1_000_010))
  })

  it('counts the second of two fetches of an object that left at the same moment', async () => {
    answers = [[{ now_ms: 7, is_written: true }]]
    const store = storeOn()
    await Promise.all([put(store, { online: true }), put(store, { online: false })])
    assert.deepEqual(
      rowsOf(asked[0]).map(({ online, seen }) => ({ online, seen })),
      [{ online: false, seen: true }],
    )
  })

  it('has not seen an object that was offline each time', async () => {
    answers = [[{ now_ms: 7, is_written: true }]]
    const store = storeOn()
    await Promise.all([put(store, { online: false }), put(store, { online: false })])
    assert.equal(rowsOf(asked[0])[0]?.seen, false)
  })

  for (const [what, answer, expired] of [
    ['nothing', [], { latenessMs: [], nextInMs: undefined }],
    ['that none is due', [{ expired: null, next_in_ms: 4.5, now_ms: 1 }], { latenessMs: [], nextInMs: 4.5 }],
    [
      'what it has deleted, and that it was the last',
      [{ expired: [{ late_ms: 3, traceparent: null }], next_in_ms: null, now_ms: 1 }],
      { latenessMs: [3], nextInMs: undefined },
    ],
  ] as [string, object[], object][]) {
    it(`passes on where the database says ${what}`, async () => {
      answers = [answer]
      assert.deepEqual(await storeOn().deleteExpired(10), expired)
    })
  }
})
