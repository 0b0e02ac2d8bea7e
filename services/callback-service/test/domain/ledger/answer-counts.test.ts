import assert from 'node:assert/strict'
import { AnswerCounts, KEPT_MS } from '../../../domain/ledger/answer-counts.ts'

describe('AnswerCounts', () => {
  let now: number
  let counts: AnswerCounts

  beforeEach(() => {
    now = 0
    counts = new AnswerCounts(() => now)
  })

  it('counts by workspace, minute and outcome', () => {
    for (const at of [60_000, 119_999]) counts.note('shop', 'replayed', at)
    counts.note('shop', 'replayed', 120_000)
    counts.note('shop', 'wrong_type', 60_000)
    counts.note('depot', 'replayed', 60_000)
    assert.deepEqual(
      counts.unwritten(10).map(({ workspace, minuteMs, outcome, count }) => [workspace, minuteMs, outcome, count]),
      [
        ['depot', 60_000, 'replayed', 1],
        ['shop', 120_000, 'replayed', 1],
        ['shop', 60_000, 'replayed', 2],
        ['shop', 60_000, 'wrong_type', 1],
      ],
    )
  })

  it('gives a total again until it is written, and again when it has grown', () => {
    counts.note('shop', 'replayed', 0)
    const first = counts.unwritten(10)
    counts.note('shop', 'replayed', 0)
    counts.written(first)
    assert.deepEqual(
      counts.unwritten(10).map(({ count }) => count),
      [2],
    )
    counts.written(counts.unwritten(10))
    assert.deepEqual(counts.unwritten(10), [])
  })

  it('forgets a total after an hour, and says how many answers were not written', () => {
    counts.note('shop', 'replayed', 0)
    counts.written(counts.unwritten(10))
    counts.note('shop', 'replayed', 0)
    now = KEPT_MS + 1
    assert.deepEqual(counts.unwritten(10), [])
    assert.deepEqual([counts.takeLost(), counts.takeLost()], [1, 0])
  })

  it('loses no answer of a thousand workspaces in an hour, as long as all are written', () => {
    for (let minute = 0; minute < 60; minute += 1) {
      now = minute * 60_000
      for (let n = 0; n < 1000; n += 1) counts.note(`workspace-${n}`, 'replayed', now)
      counts.written(counts.unwritten(1000))
    }
    assert.equal(counts.takeLost(), 0)
  })

  it('keeps 20,000 totals at most, and counts the answers beyond as lost', () => {
    for (let minute = 0; minute < 20_003; minute += 1) counts.note('shop', 'replayed', minute * 60_000)
    assert.deepEqual([counts.unwritten(30_000).length, counts.takeLost()], [20_000, 3])
  })
})
