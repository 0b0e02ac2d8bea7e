import assert from 'node:assert/strict'
import { claimable } from '../../domain/claimable.ts'

const idle = { running: 0, maxRunning: 256, requests: { waiting: 0, concurrency: 512 }, breaker: { state: 'closed', waitMs: 0 } } as const

describe('claimable', () => {
  it('takes a batch while there is room, and what room there is', () => {
    assert.equal(claimable(idle), 32)
    assert.equal(claimable({ ...idle, running: 250 }), 6)
    assert.equal(claimable({ ...idle, running: 256 }), 0)
    assert.equal(claimable({ ...idle, running: 300 }), 0)
  })

  it('leaves the rest in the database while as many requests wait as may be under way', () => {
    assert.equal(claimable({ ...idle, requests: { waiting: 511, concurrency: 512 } }), 32)
    assert.equal(claimable({ ...idle, requests: { waiting: 512, concurrency: 512 } }), 0)
  })

  it('takes none while nothing may be asked, and one to probe with', () => {
    assert.equal(claimable({ ...idle, breaker: { state: 'open', waitMs: 10 } }), 0)
    assert.equal(claimable({ ...idle, breaker: { state: 'closed', waitMs: 10 } }), 0)
    assert.equal(claimable({ ...idle, breaker: { state: 'half-open', waitMs: 0 } }), 1)
  })
})
