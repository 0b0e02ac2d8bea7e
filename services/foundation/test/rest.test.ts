import assert from 'node:assert/strict'
import { Rests } from '../rest.ts'

const HOUR_MS = 3_600_000

describe('Rests', () => {
  it('lets each rest as long as it asked for', async () => {
    const rests = new Rests()
    const started = performance.now()
    await Promise.all([rests.rest(1), rests.rest(30)])
    assert.ok(performance.now() - started >= 29)
  })

  it('ends all that are under way, and none that begins later', async () => {
    const rests = new Rests()
    const underWay = Promise.all(Array.from({ length: 10_000 }, () => rests.rest(HOUR_MS)))
    rests.endAll()
    await underWay
    const later = await Promise.race([rests.rest(HOUR_MS).then(() => 'ended'), new Promise(resolve => setTimeout(resolve, 20, 'rests'))])
    assert.equal(later, 'rests')
    rests.endAll()
  })
})
