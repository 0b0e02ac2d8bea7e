import { deepEqual } from 'node:assert/strict'
import { info, ok, row, sent } from './evidence.ts'
import { checkLedger, daysOf, digestOf, type Interval } from './ledger-checker.ts'

const iso = (ms: number): string => new Date(ms).toISOString()

/** The minute that begins at 0, with the callback `k1`, completed. */
const interval = (changes: Partial<Interval> = {}): Interval => ({
  workspace: 'default',
  from: iso(0),
  to: iso(60_000),
  accepted: 1,
  keyed: 1,
  completed: 1,
  failed: 0,
  cancelled: 0,
  unfinished: 0,
  keys_digest: digestOf(['k1']),
  ...changes,
})
const empty = { accepted: 0, keyed: 0, completed: 0, keys_digest: digestOf([]) }
const found = (callbacks: Parameters<typeof checkLedger>[0], rows: Parameters<typeof checkLedger>[1], ...ledger: Interval[]): number =>
  checkLedger(callbacks, rows, ledger).length

describe('the checker of the ledger', () => {
  const accepted = [sent([ok('a')])]

  it('finds nothing if the ledger says what the sender was told', () => {
    deepEqual(found(accepted, [row()], interval()), 0)
  })

  for (const [what, changes] of [
    ['one callback more', { accepted: 2 }],
    ['one callback less', empty],
    ['another key', { keys_digest: digestOf(['k2']) }],
    ['a callback without its key', { keyed: 0, keys_digest: digestOf([]) }],
    ['an unfinished callback', { completed: 0, unfinished: 1 }],
    ['another outcome', { completed: 0, failed: 1 }],
  ] as const) {
    it(`reports an interval in which the ledger has ${what}`, () => {
      deepEqual(found(accepted, [row()], interval(changes)), 1)
    })
  }

  it('reports a callback in another interval than its sender was told, whatever its row says', () => {
    const next = { from: iso(60_000), to: iso(120_000) }
    deepEqual(found(accepted, [row({ receivedAtMs: 61_000 })], interval(empty), interval(next)), 2)
  })

  it('reports a callback that no interval covers', () => {
    deepEqual(found(accepted, [row()]), 1)
  })

  it('reports a callback in the ledger of another workspace', () => {
    deepEqual(found(accepted, [row()], interval(), interval({ workspace: 'shop' })), 1)
  })

  for (const [what, outcomes] of [
    ['had no answer', [info]],
    ['had an answer and none', [ok('a'), info]],
    ['was spooled', [ok('a', 'spooled')]],
    ['was told two times', [ok('a'), ok('a', 'database', 500)]],
  ] as const) {
    it(`goes by the row if a callback ${what}`, () => {
      const next = { from: iso(60_000), to: iso(120_000) }
      deepEqual(found([sent(outcomes)], [row({ receivedAtMs: 61_000 })], interval(empty), interval(next)), 0)
      deepEqual(found([sent(outcomes)], [], interval(empty)), 0)
    })
  }

  it('goes by the rows of rivals, one of which may have lost its key', () => {
    const rivals = [sent([ok('a')]), sent([ok('b', 'spooled')], { objectIds: [3] })]
    const rows = [row(), row({ id: 'b', key: null, objectIds: [3] })]
    deepEqual(found(rivals, rows, interval({ accepted: 2, completed: 2 })), 0)
  })

  it('asks for each day on which something was received', () => {
    const day = 86_400_000
    const later = [sent([ok('a', 'database', 2 * day + 5)]), sent([info], { key: 'k2', objectIds: [3] })]
    deepEqual(daysOf(later, [row({ id: 'b', key: 'k2', objectIds: [3], receivedAtMs: day })]), [2 * day, day])
  })
})
