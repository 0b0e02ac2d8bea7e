import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { eventually } from '../../../../../test/support/eventually.ts'
import { findLastHours, findLastReceipts, readTraffic } from '../../../adapters/postgres/traffic-reader.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { MINUTE_MS } from '../../../domain/traffic/traffic-minutes.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const NOON = Date.UTC(2026, 0, 1, 12)
const HOUR_MS = 3_600_000

describe('the traffic in the database', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, ledger_hours'))
  after(() => storage.close())

  async function put(workspace: string, receivedMs: number, { state = 'pending', finishedMs = null as number | null } = {}): Promise<void> {
    await storage.query(
      `INSERT INTO callbacks (id, workspace, state, received_at, finished_at)
       VALUES ($1, $2, $3::callback_state, to_timestamp($4::float8 / 1000), to_timestamp($5::float8 / 1000))`,
      [randomUUID(), workspace, state, receivedMs, finishedMs],
    )
  }

  const read = async (fromMs: number, toMs: number) => {
    const { counts } = await readTraffic(storage.open().prisma, { fromMs, toMs })
    return counts.toSorted((a, b) => a.workspace.localeCompare(b.workspace) || a.atMs - b.atMs)
  }

  it('is counted by workspace and minute: what was received and what failed then', async () => {
    for (const ms of [0, 59_999, MINUTE_MS]) await put('shop', NOON + ms)
    await put('shop', NOON - MINUTE_MS, { state: 'failed', finishedMs: NOON + MINUTE_MS + 1 })
    await put('shop', NOON - MINUTE_MS, { state: 'completed', finishedMs: NOON + MINUTE_MS + 1 })
    await put('depot', NOON + 5)
    await put('depot', NOON + 2 * MINUTE_MS, { state: 'failed', finishedMs: NOON + 2 * MINUTE_MS })
    assert.deepEqual(await read(NOON, NOON + 2 * MINUTE_MS), [
      { workspace: 'depot', atMs: NOON, received: 1, failed: 0, lastMs: NOON + 5 },
      { workspace: 'shop', atMs: NOON, received: 2, failed: 0, lastMs: NOON + 59_999 },
      { workspace: 'shop', atMs: NOON + MINUTE_MS, received: 1, failed: 1, lastMs: NOON + MINUTE_MS },
    ])
  })

  it('comes with the time of the database', async () => {
    const [before] = await storage.query<{ ms: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms')
    const { nowMs, counts } = await readTraffic(storage.open().prisma, { fromMs: NOON, toMs: NOON + MINUTE_MS })
    assert.deepEqual([nowMs >= (before?.ms ?? 0), counts], [true, []])
  })

  it('is read through the indexes, not from the whole table', async () => {
    await storage.query(
      `INSERT INTO callbacks (id, workspace, state, received_at, finished_at) SELECT gen_random_uuid(), 'shop', 'completed', at, at
       FROM generate_series(to_timestamp(${NOON / 1000}) - interval '10 hours', to_timestamp(${NOON / 1000}), interval '1 second') AS at`,
    )
    await storage.query('VACUUM ANALYZE callbacks')
    const scans = async () => {
      const [row] = await storage.query<{ whole: number; received: number; finished: number }>(
        `SELECT (SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'callbacks')::int AS whole,
           (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'callbacks_received')::int AS received,
           (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'callbacks_finished')::int AS finished`,
      )
      return row as NonNullable<typeof row>
    }
    const before = await scans()
    const pool = storage.open({ maxConnections: 1 })
    const { counts } = await readTraffic(pool.prisma, { fromMs: NOON - 2 * MINUTE_MS, toMs: NOON })
    // A connection hands in its statistics when it closes.
    await pool.stop()
    await eventually('the statistics are in', async () => (await scans()).finished > before.finished)
    const after = await scans()
    assert.deepEqual([counts.length, after.whole - before.whole, after.received - before.received], [2, 0, 1])
  })

  it('throws StorageUnavailableError if it cannot be read in time', async () => {
    const slow = storage.open({ queryTimeoutMs: 100 })
    await storage.duringTransaction('LOCK TABLE callbacks', [], () =>
      assert.rejects(readTraffic(slow.prisma, { fromMs: NOON, toMs: NOON + MINUTE_MS }), StorageUnavailableError),
    )
  })

  describe('the last receipts', () => {
    const find = (fromMs: number, toMs: number, workspaces = ['shop', 'depot']) =>
      findLastReceipts(storage.open().prisma, { workspaces, fromMs, toMs })

    it('are found with the callbacks of the 15 minutes up to them', async () => {
      for (const minute of [-16, -15, -14, -14, -1, 0]) await put('shop', NOON + minute * MINUTE_MS + 1)
      await put('other', NOON)
      assert.deepEqual(await find(NOON - HOUR_MS, NOON + HOUR_MS), [
        { workspace: 'shop', lastMs: NOON + 1, minutes: 15, busyMinutes: 3, received: 4 },
      ])
    })

    it('have the minutes before the span too, if they are near its beginning', async () => {
      for (const minute of [-3, -2, -1, 0]) await put('shop', NOON + minute * MINUTE_MS)
      assert.deepEqual(await find(NOON, NOON + HOUR_MS), [{ workspace: 'shop', lastMs: NOON, minutes: 15, busyMinutes: 4, received: 4 }])
    })

    it('are not found outside the span', async () => {
      await put('shop', NOON - 1)
      await put('depot', NOON + 1)
      assert.deepEqual(await find(NOON, NOON + 1), [])
    })

    it('are found from the beginning of time', async () => {
      await put('shop', NOON - 1)
      assert.equal((await find(0, NOON))[0]?.lastMs, NOON - 1)
    })
  })

  it('has the last hour of each workspace whose callbacks are gone', async () => {
    for (const [workspace, hour, accepted] of [
      ['shop', 0, 5],
      ['shop', 1, 5],
      ['other', 2, 5],
    ] as const)
      await storage.query(`INSERT INTO ledger_hours VALUES ($1, to_timestamp($2::float8 / 1000), $3, 0, 0, 0, 0, 0)`, [
        workspace,
        NOON + hour * HOUR_MS,
        accepted,
      ])
    assert.deepEqual(await findLastHours(storage.open().prisma, ['shop', 'depot']), new Map([['shop', NOON + HOUR_MS]]))
  })
})
