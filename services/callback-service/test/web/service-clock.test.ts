import assert from 'node:assert/strict'
import { learnTime, serviceNow } from '../../web/service-clock.ts'

describe('the clock of the service', () => {
  afterEach(() => learnTime(new Date().toISOString()))

  it('goes on from what the service said, however wrong that of the browser is', () => {
    learnTime('2026-11-22T03:00:00.000Z', 5000)
    assert.equal(serviceNow(6500), Date.UTC(2026, 10, 22, 3, 0, 1, 500))
  })
})
