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
})
