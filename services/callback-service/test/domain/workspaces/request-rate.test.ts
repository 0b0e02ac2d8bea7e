import assert from 'node:assert/strict'
import { RequestRate } from '../../../domain/workspaces/request-rate.ts'

describe('RequestRate', () => {
  /** @returns how many requests were allowed, if `perMs` come in each millisecond */
  function allowed(rate: RequestRate, limit: { perSecond: number; burst: number }, fromMs: number, toMs: number, perMs = 1): number {
    let count = 0
    for (let ms = fromMs; ms < toMs; ms += 1) for (let i = 0; i < perMs; i += 1) count += Number(rate.take(ms, limit).waitMs === 0)
    return count
  }

  for (const [perSecond, burst] of [
    [100, 100],
    [100, 1],
    [33.3, 33.3],
    [0.5, 1],
    [7, 500],
    [1e6, 3],
  ] as const) {
    it(`allows ${perSecond} a second after a burst of ${burst}, whatever the load`, () => {
      const count = allowed(new RequestRate(), { perSecond, burst }, 1e9, 1e9 + 30_000, 3)
      const wanted = Math.min(perSecond * 30 + burst, 90_000)
      assert.ok(count >= wanted * 0.99 - 1 && count <= wanted + 1, `${count}, not ${wanted}`)
    })
  }

  it('allows exactly the burst at once, and counts down', () => {
    const rate = new RequestRate()
    const verdicts = Array.from({ length: 11 }, () => rate.take(12_345.678, { perSecond: 3, burst: 10 }))
    assert.deepEqual(
      verdicts.map(({ remaining }) => remaining),
      [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0],
    )
    assert.ok(verdicts.slice(0, 10).every(({ waitMs }) => waitMs === 0))
    const last = verdicts[10]
    assert.deepEqual([Math.round(last?.waitMs ?? 0), Math.round(last?.fullInMs ?? 0)], [333, 3333])
  })

  it('lets a request come at the time that it named', () => {
    const rate = new RequestRate()
    const limit = { perSecond: 3, burst: 1 }
    rate.take(0.1, limit)
    const { waitMs } = rate.take(0.2, limit)
    assert.equal(rate.take(0.2 + waitMs, limit).waitMs, 0)
  })

  it('counts no request that it refuses', () => {
    const rate = new RequestRate()
    const limit = { perSecond: 1, burst: 1 }
    allowed(rate, limit, 0, 999, 10)
    assert.equal(rate.take(1000, limit).waitMs, 0)
  })

  it('applies a changed limit at once, however long the old one would have refused', () => {
    const rate = new RequestRate()
    allowed(rate, { perSecond: 0.001, burst: 1000 }, 0, 1000)
    assert.ok(rate.take(1000, { perSecond: 100, burst: 100 }).waitMs <= 10)
    assert.equal(allowed(rate, { perSecond: 100, burst: 100 }, 1010, 2010), 100)
  })
})
