import assert from 'node:assert/strict'
import { RecentRate } from '../../../domain/workspaces/recent-rate.ts'

describe('RecentRate', () => {
  it('is the rate of about the last ten seconds', () => {
    const rate = new RecentRate()
    for (let ms = 0; ms < 60_000; ms += 20) rate.count(5000 + ms)
    assert.ok(Math.abs(rate.perSecond(65_000) - 50) < 0.1, String(rate.perSecond(65_000)))
  })

  it('falls to 0 within twenty seconds when nothing comes', () => {
    const rate = new RecentRate()
    for (let n = 0; n < 100; n += 1) rate.count(0)
    assert.deepEqual(
      [9999, 15_000, 20_000, 1e9].map(ms => rate.perSecond(ms)),
      [10, 5, 0, 0],
    )
  })

  it('is 0 at first', () => {
    assert.equal(new RecentRate().perSecond(1), 0)
  })
})
