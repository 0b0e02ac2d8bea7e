import assert from 'node:assert/strict'
import { RecentCount } from '../../../domain/activity/recent-count.ts'

describe('a recent count', () => {
  let now = 0
  let count: RecentCount

  beforeEach(() => {
    now = 0
    count = new RecentCount(() => now)
  })

  it('is unknown before the first', () => {
    assert.equal(count.value, null)
  })

  it('is the last one for 10 s, and unknown afterwards', () => {
    count.set(7)
    now = 10_000
    assert.equal(count.value, 7)
    now = 10_001
    assert.equal(count.value, null)
  })

  it('lasts longer if counts are rare: three times the time between the last two', () => {
    count.set(7)
    now = 30_000
    count.set(8)
    now = 120_000
    assert.equal(count.value, 8)
    now = 120_001
    assert.equal(count.value, null)
  })
})
