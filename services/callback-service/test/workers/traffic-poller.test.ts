import assert from 'node:assert/strict'
import { eventually, until } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { MINUTE_MS, type MinuteSpan } from '../../domain/traffic/traffic-minutes.ts'
import { TrafficPoller } from '../../workers/traffic-poller.ts'
import { logger } from './silent-logger.ts'

const NOON = Date.UTC(2026, 0, 1, 12)

describe('TrafficPoller', () => {
  let poller: TrafficPoller
  let monotonicMs: number
  let clock: { databaseMs: number; steppedAtMs: number }
  let reads: MinuteSpan[]
  let searches: number
  let isAway: boolean
  let maxMinutes: number
  let isSearchable: boolean
  let msPerMinute: number

  beforeEach(() => {
    monotonicMs = 1_000_000
    clock = { databaseMs: NOON + 30_000, steppedAtMs: Number.NEGATIVE_INFINITY }
    reads = []
    searches = 0
    isAway = false
    maxMinutes = 15
    isSearchable = true
    msPerMinute = 0
    poller = new TrafficPoller({
      source: {
        read: async span => {
          reads.push(span)
          monotonicMs += lengthOf(span) * msPerMinute
          if (isAway || lengthOf(span) > maxMinutes) throw new StorageUnavailableError('away')
          return { nowMs: clock.databaseMs, counts: [] }
        },
        lastHours: async () => new Map(),
        findLast: async () => {
          searches += 1
          if (!isSearchable) throw new StorageUnavailableError('too slow')
          return []
        },
      },
      clock: {
        nowMs: () => clock.databaseMs,
        get steppedAtMs() {
          return clock.steppedAtMs
        },
      },
      workspaces: () => ['shop'],
      retentionMs: () => 3_600_000,
      logger,
      nowMs: () => monotonicMs,
    })
    poller.start()
  })

  afterEach(() => poller.stop())

  const lengthOf = ({ fromMs, toMs }: MinuteSpan): number => (toMs - fromMs) / MINUTE_MS
  const pass = (ms: number): void => {
    monotonicMs += ms
    clock.databaseMs += ms
  }
  /** Looks, and lets the pass end, so that time that passes then is none that it took. */
  async function lookAndRest(): Promise<void> {
    await poller.look()
    await eventually('it has searched', () => searches === 1)
    await new Promise(setImmediate)
  }
  const precision = async () => (await poller.look()).receipts.of('shop').precision

  it('reads nothing while nobody looks', async () => {
    await new Promise(setImmediate)
    assert.equal(reads.length, 0)
  })

  it('lets all who look at the same moment share one read', async () => {
    const looks = await Promise.all([poller.look(), poller.look(), poller.look()])
    const newest = (): number => reads.filter(({ toMs }) => toMs === NOON + MINUTE_MS).length
    assert.deepEqual([newest(), new Set(looks.map(({ toMs }) => toMs)).size], [1, 1])
    await poller.look()
    assert.equal(newest(), 1)
  })

  it('says how old its knowledge is', async () => {
    await poller.look()
    pass(4000)
    const { toMs, ageMs } = await poller.look()
    assert.deepEqual([toMs, ageMs], [NOON + 30_000, 4000])
  })

  it('throws if the first look finds no database, and tries again with the next', async () => {
    isAway = true
    await assert.rejects(poller.look(), StorageUnavailableError)
    isAway = false
    assert.equal((await poller.look()).ageMs, 0)
  })

  it('reads everything again when somebody looks again after more than a minute', async () => {
    await poller.look()
    pass(60_001)
    reads = []
    const { toMs, minutes } = await poller.look()
    assert.deepEqual([toMs, reads.reduce((sum, span) => sum + lengthOf(span), 0)], [NOON + 90_001, 15])
    assert.equal(minutes.completeFromMs, NOON - 13 * MINUTE_MS)
  })

  it('reads the window in parts that grow, and answers when it is whole', async () => {
    const { minutes } = await poller.look()
    assert.deepEqual(reads.map(lengthOf), [4, 8, 3])
    assert.equal(minutes.completeFromMs, NOON - 14 * MINUTE_MS)
  })

  it('halves the parts that the database cannot read in time', async () => {
    maxMinutes = 2
    await assert.rejects(poller.look(), StorageUnavailableError)
    await poller.look()
    assert.deepEqual(reads.slice(0, 2).map(lengthOf), [4, 2])
  })

  it('answers with a part of the window if an older part cannot be read', async () => {
    maxMinutes = 4
    const { minutes } = await poller.look()
    assert.deepEqual(reads.map(lengthOf), [4, 8])
    assert.equal(minutes.completeFromMs, NOON - 3 * MINUTE_MS)
  })

  it('halves slow parts, and ends a pass after a second', async () => {
    msPerMinute = 200
    const { minutes } = await poller.look()
    assert.deepEqual(reads.map(lengthOf), [4, 2])
    assert.equal(minutes.completeFromMs, NOON - 5 * MINUTE_MS)
  })

  it('reads what is newer after five seconds, and keeps what it has while the database is away', async () => {
    await lookAndRest()
    const before = reads.length
    isAway = true
    pass(6000)
    await until(() => reads.length > before)
    assert.deepEqual(reads.at(-1), { fromMs: NOON, toMs: NOON + MINUTE_MS })
    const { toMs, ageMs, minutes } = await poller.look()
    assert.deepEqual([toMs, ageMs, minutes.completeFromMs], [NOON + 30_000, 6000, NOON - 14 * MINUTE_MS])
  })

  it('forgets what it has, if the database is away for longer than the window', async () => {
    await lookAndRest()
    const before = reads.length
    isAway = true
    for (let minute = 0; minute < 16; minute += 1) {
      await poller.look()
      pass(60_000)
    }
    await until(() => reads.length > before)
    await assert.rejects(poller.look(), StorageUnavailableError)
  })

  it("reads everything again when the database's clock has stepped", async () => {
    await lookAndRest()
    reads = []
    clock.databaseMs -= 3_600_000
    clock.steppedAtMs = monotonicMs
    await until(() => reads.length > 0)
    assert.deepEqual(reads.map(lengthOf), [15])
    assert.equal((await poller.look()).minutes.newestMs, NOON - 3_600_000)
  })

  it('searches for last receipts one step at a time', async () => {
    await poller.look()
    await eventually('it has searched', () => searches === 1)
    assert.equal(await precision(), 'unknown')
  })

  it('keeps what it knows of the minutes if the search fails', async () => {
    isSearchable = false
    await poller.look()
    await eventually('it has searched', () => searches === 1)
    assert.equal((await poller.look()).minutes.completeFromMs, NOON - 14 * MINUTE_MS)
  })

  it('refuses those who wait when it stops', async () => {
    await poller.stop()
    const looked = poller.look()
    await poller.stop()
    await assert.rejects(looked, StorageUnavailableError)
  })
})
