import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { writeAnswers } from '../../../adapters/postgres/ledger-answers.ts'
import { readLedger } from '../../../adapters/postgres/ledger-reader.ts'
import { mergeAnswers, pruneLedger } from '../../../adapters/postgres/ledger-retention.ts'
import type { AnswerTotal } from '../../../domain/ledger/answer-counts.ts'
import { HOUR_MS, intervalsOf, MINUTE_MS } from '../../../domain/ledger/ledger.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const HOUR = Date.UTC(2026, 0, 1, 12)
const [FIRST, SECOND] = [randomUUID(), randomUUID()]

describe('the answers in the ledger', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE ledger_hours, ledger_answers, clock_steps'))
  after(() => storage.close())

  const total = (minute: number, count: number, outcome = 'replayed', workspace = 'shop'): AnswerTotal => ({
    workspace,
    minuteMs: HOUR + minute * MINUTE_MS,
    outcome,
    count,
  })
  const write = (process: string, ...totals: AnswerTotal[]): Promise<void> => writeAnswers(storage.open().prisma, process, totals)
  const pruned = () => ({ prisma: storage.open().prisma, clock: new DatabaseClock() })
  const merge = (limit = 1000): Promise<number> => mergeAnswers(pruned(), { afterSeconds: 7200, limit })

  /** The intervals that have answers: the minute, and the answers. */
  async function answers() {
    const span = { fromMs: HOUR, toMs: HOUR + 2 * HOUR_MS, stepMs: MINUTE_MS }
    return intervalsOf(span, await readLedger(storage.open().prisma, 'shop', span))
      .filter(({ replayed, refused }) => replayed > 0 || Object.keys(refused).length > 0)
      .map(({ fromMs, replayed, refused }) => [(fromMs - HOUR) / MINUTE_MS, replayed, refused])
  }

  it('of several processes are added up by minute and outcome', async () => {
    await write(FIRST, total(0, 2), total(0, 1, 'wrong_type'), total(1, 1), total(0, 9, 'replayed', 'depot'))
    await write(SECOND, total(0, 3))
    assert.deepEqual(await answers(), [
      [0, 5, { wrong_type: 1 }],
      [1, 1, {}],
    ])
  })

  it('count once when a process writes them twice, or when an old total arrives late', async () => {
    for (const count of [2, 5, 5, 2]) await write(FIRST, total(0, count))
    assert.deepEqual(await answers(), [[0, 5, {}]])
  })

  it('become those of the hour, the same number in all, however small the steps and however many replicas merge', async () => {
    for (let minute = 0; minute < 90; minute += 1) await write(FIRST, total(minute, 1), total(minute, 2, 'wrong_type'))
    await write(SECOND, total(0, 7))
    const mergeAll = async (): Promise<void> => {
      while ((await merge(20)) > 0);
    }
    await Promise.all([mergeAll(), mergeAll()])
    assert.deepEqual(await answers(), [
      [0, 67, { wrong_type: 120 }],
      [60, 30, { wrong_type: 60 }],
    ])
    assert.deepEqual(await storage.query('SELECT count(*)::int AS rows FROM ledger_answers'), [{ rows: 4 }])
  })

  it('stay by the minute while a process may still write them', async () => {
    const now = Date.now()
    await write(FIRST, { ...total(0, 1), minuteMs: now }, { ...total(0, 1), minuteMs: now - HOUR_MS })
    assert.equal(await merge(), 0)
  })

  it('and the hours are deleted after the retention of the ledger, and only then', async () => {
    const day = 86_400_000
    const putHour = (ms: number) =>
      storage.query(`INSERT INTO ledger_hours VALUES ('shop', to_timestamp($1::float8 / 1000), 1, 0, 1, 0, 0, 0)`, [ms])
    for (const ago of [29, 31]) {
      await putHour(Date.now() - ago * day)
      await write(FIRST, { ...total(0, ago), minuteMs: Date.now() - ago * day })
    }
    const prune = (): Promise<number> => pruneLedger(pruned(), { retentionSeconds: (30 * day) / 1000, limit: 10 })
    await storage.query('INSERT INTO clock_steps (number, step_ms) VALUES (1, $1)', [2 * day])
    assert.equal(await prune(), 0, 'the clock went forward two days')
    await storage.query('TRUNCATE clock_steps')
    assert.deepEqual([await prune(), await prune()], [1, 0])
    assert.deepEqual(await storage.query('SELECT count::int FROM ledger_answers'), [{ count: 29 }])
    assert.equal((await storage.query('SELECT FROM ledger_hours')).length, 1)
  })
})
