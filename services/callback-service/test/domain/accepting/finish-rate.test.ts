import assert from 'node:assert/strict'
import { FinishRate } from '../../../domain/accepting/finish-rate.ts'

describe('FinishRate', () => {
  it('is 0 before the first window', () => {
    assert.equal(new FinishRate().perSecond, 0)
  })

  it('takes several windows together if few callbacks finish', () => {
    const rate = new FinishRate()
    rate.add(10, 2000)
    rate.add(20, 2000)
    assert.equal(rate.perSecond, 7.5)
  })

  it('takes the last window alone if many finish', () => {
    const rate = new FinishRate()
    rate.add(0, 2000)
    rate.add(1000, 2000)
    assert.equal(rate.perSecond, 500)
  })

  it('forgets old windows', () => {
    const rate = new FinishRate()
    rate.add(100, 2000)
    for (let i = 0; i < 8; i += 1) rate.add(0, 2000)
    assert.equal(rate.perSecond, 0)
  })
})
