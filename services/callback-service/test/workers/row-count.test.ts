import assert from 'node:assert/strict'
import { restAfter } from '../../workers/row-count.ts'

describe('rowCount', () => {
  for (const [tookMs, wantedMs] of [
    [1, 2000],
    [100, 10_000],
    [5000, 30_000],
  ] as const)
    it(`rests ${wantedMs} ms after a count that took the database ${tookMs} ms`, () => {
      assert.equal(restAfter(tookMs), wantedMs)
    })

  it('rests as long as it is told, or as the count needs', () => {
    assert.deepEqual([restAfter(1, 10_000), restAfter(200, 10_000)], [10_000, 20_000])
  })
})
