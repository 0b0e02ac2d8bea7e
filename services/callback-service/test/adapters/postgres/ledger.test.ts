import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { pruneCallbacks } from '../../../adapters/postgres/callback-retention.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { readLedgerKeys } from '../../../adapters/postgres/ledger-keys-reader.ts'
import { readLedger } from '../../../adapters/postgres/ledger-reader.ts'
import { HOUR_MS, intervalsOf, type LedgerInterval, MINUTE_MS } from '../../../domain/ledger/ledger.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

/** An hour long ago, and its first minutes. */
const HOUR = Date.UTC(2026, 0, 1, 12)

describe('the ledger', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, ledger_hours, ledger_answers'))
  after(() => storage.close())

  async function put(atMs: number, { key = null as string | null, state = 'completed', workspace = 'shop' } = {}): Promise<string> {
    const id = randomUUID()
    const isFinished = ['completed', 'failed', 'cancelled'].includes(state)
    await storage.query(
      `INSERT INTO callbacks (id, workspace, state, idempotency_key, received_at, finished_at)
       VALUES ($1, $2, $3::callback_state, $4, to_timestamp($5::float8 / 1000), CASE WHEN $6 THEN to_timestamp($5::float8 / 1000) END)`,
      [id, workspace, state, key, atMs, isFinished],
    )
    return id
  }

  const read = async (fromMs = HOUR, toMs = HOUR + HOUR_MS, stepMs = MINUTE_MS): Promise<LedgerInterval[]> => {
    const span = { fromMs, toMs, stepMs }
    return intervalsOf(span, await readLedger(storage.open().prisma, 'shop', span))
  }
  const prune = (limit = 1000): Promise<number> =>
    pruneCallbacks({ prisma: storage.open().prisma, clock: new DatabaseClock() }, { retentionSeconds: 3600, limit })

  it('counts the callbacks of each minute by state, and adds up their keys', async () => {
    for (const [second, state, key] of [
      [0, 'completed', 'a'],
      [1, 'failed', 'ü'],
      [59.999, 'cancelled', null],
      [60, 'pending', 'b'],
      [61, 'running', null],
      [119, 'paused', 'c'],
    ] as const)
      await put(HOUR + second * 1000, { state, key })
    await put(HOUR, { workspace: 'depot', key: 'a' })
    await put(HOUR - 1, { key: 'before' })
    await put(HOUR + 2 * MINUTE_MS, { key: 'after' })
    const found = await read(HOUR, HOUR + 2 * MINUTE_MS)
    assert.deepEqual(
      found.map(({ accepted, keyed, completed, failed, cancelled, unfinished, keysDigest }) => [
        ...[accepted, keyed, completed, failed, cancelled, unfinished],
        keysDigest,
      ]),
      [
        [3, 2, 1, 1, 1, 0, digestOf('a', 'ü')],
        [3, 2, 0, 0, 0, 3, digestOf('b', 'c')],
      ],
    )
  })

  it('says the same of an hour before and after its rows are gone', async () => {
    for (let n = 0; n < 300; n += 1)
      await put(HOUR + n * 12_000, { key: n % 3 === 0 ? null : `key ${n}`, state: ['completed', 'failed', 'cancelled'][n % 3] as string })
    const [before] = await read(HOUR, HOUR + HOUR_MS, HOUR_MS)
    while ((await prune(70)) > 0) assert.deepEqual(await read(HOUR, HOUR + HOUR_MS, HOUR_MS), [before])
    assert.deepEqual(await storage.query('SELECT count(*)::int AS count FROM callbacks'), [{ count: 0 }])
    assert.equal(before?.accepted, 300)
  })

  it('gives the whole hour as one interval as soon as one of its rows is gone, also if the span is a part of it', async () => {
    await put(HOUR + 1, { key: 'gone' })
    await prune()
    await put(HOUR + 30 * MINUTE_MS, { key: 'waits', state: 'paused' })
    await put(HOUR + HOUR_MS, { key: 'next hour', state: 'pending' })
    const found = await read(HOUR + 10 * MINUTE_MS, HOUR + 61 * MINUTE_MS)
    assert.deepEqual(
      found.map(({ fromMs, toMs, accepted, completed, unfinished, keysDigest }) => [
        (fromMs - HOUR) / MINUTE_MS,
        (toMs - HOUR) / MINUTE_MS,
        ...[accepted, completed, unfinished],
        keysDigest,
      ]),
      [
        [0, 60, 2, 1, 1, digestOf('gone', 'waits')],
        [60, 61, 1, 0, 1, digestOf('next hour')],
      ],
    )
  })

  it('gives such an hour as a whole if the span begins and ends within it', async () => {
    for (const minute of [1, 59]) await put(HOUR + minute * MINUTE_MS, { state: 'pending' })
    await put(HOUR)
    await prune()
    const found = await read(HOUR + 10 * MINUTE_MS, HOUR + 20 * MINUTE_MS)
    assert.deepEqual(
      found.map(({ accepted, unfinished }) => [accepted, unfinished]),
      [[3, 2]],
    )
  })

  it('keeps the minutes of an hour in which only another workspace has deleted rows', async () => {
    await put(HOUR, { workspace: 'depot' })
    await prune()
    await put(HOUR, { state: 'pending' })
    const found = await read()
    assert.deepEqual([found.length, found[0]?.accepted], [60, 1])
  })

  it('counts each callback once while two replicas prune and a third reads', async () => {
    for (let n = 0; n < 400; n += 1) await put(HOUR + (n % 5) * HOUR_MS + n, { key: `key ${n}` })
    const pruneAll = async (): Promise<void> => {
      while ((await prune(20)) > 0);
    }
    const total = async () => {
      const intervals = await read(HOUR, HOUR + 5 * HOUR_MS, 5 * HOUR_MS)
      return intervals.reduce((sum, { accepted }) => sum + accepted, 0)
    }
    const seen: number[] = []
    let isDone = false
    const reading = (async () => {
      while (!isDone) seen.push(await total())
    })()
    await Promise.all([pruneAll(), pruneAll(), pruneAll()])
    isDone = true
    await reading
    assert.deepEqual(new Set(seen), new Set([400]))
    assert.equal(await total(), 400)
  })

  it('does not delete a callback that it cannot add to its hour', async () => {
    await put(HOUR)
    await storage.query('ALTER TABLE ledger_hours ADD CONSTRAINT full_disk CHECK (false)')
    await assert.rejects(prune())
    await storage.query('ALTER TABLE ledger_hours DROP CONSTRAINT full_disk')
    assert.equal((await storage.query('SELECT FROM callbacks')).length, 1)
  })

  describe('its keys', () => {
    const list = (changes: Partial<Parameters<typeof readLedgerKeys>[1]> = {}, page: Partial<Parameters<typeof readLedgerKeys>[2]> = {}) =>
      readLedgerKeys(
        storage.open().prisma,
        { workspace: 'shop', fromMs: HOUR, toMs: HOUR + MINUTE_MS, ...changes },
        { limit: 10, position: undefined, ...page },
      )

    it('are those of the span, oldest first, with the callback and its state', async () => {
      const id = await put(HOUR + 59_999, { key: 'b', state: 'failed' })
      await put(HOUR, { key: 'a' })
      for (const at of [HOUR - 1, HOUR + MINUTE_MS]) await put(at, { key: `at ${at}` })
      await put(HOUR, { key: 'theirs', workspace: 'depot' })
      await put(HOUR)
      const { keys, isComplete } = await list()
      assert.deepEqual(
        keys.map(({ key }) => key),
        ['a', 'b'],
      )
      assert.deepEqual(
        { ...keys[1], position: undefined },
        { key: 'b', id, state: 'failed', receivedAt: new Date(HOUR + 59_999), position: undefined },
      )
      assert.equal(isComplete, true)
    })

    it('go on after each place and back before it, also among callbacks of one moment', async () => {
      for (let n = 0; n < 6; n += 1) await put(HOUR + (n < 4 ? 0 : n), { key: `key ${n}` })
      const { keys } = await list()
      for (const [n, { position: key }] of keys.entries()) {
        const after = await list({}, { limit: 2, position: { direction: 'after', key } })
        const before = await list({}, { limit: 2, position: { direction: 'before', key } })
        assert.deepEqual([before.keys, after.keys], [keys.slice(Math.max(0, n - 2), n), keys.slice(n + 1, n + 3)])
      }
    })

    it('are not complete once keys of the hour are gone', async () => {
      await put(HOUR + 30 * MINUTE_MS, { key: 'gone' })
      await prune()
      assert.equal((await list()).isComplete, false)
      assert.equal((await list({ workspace: 'depot' })).isComplete, true)
      assert.equal((await list({ fromMs: HOUR + HOUR_MS, toMs: HOUR + 2 * HOUR_MS })).isComplete, true)
    })
  })
})

/** The digest as docs/ledger.md describes it. */
function digestOf(...keys: string[]): string {
  const sum = keys.reduce((total, key) => total + createHash('sha256').update(key).digest().readBigUInt64BE(), 0n)
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
}
