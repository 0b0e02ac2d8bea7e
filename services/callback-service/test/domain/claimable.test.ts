import assert from 'node:assert/strict'
import { claimable } from '../../domain/claimable.ts'

const idle = {
  running: 0,
  maxRunning: 256,
  requests: { inFlight: 0, waiting: 0, concurrency: 512 },
  breaker: { state: 'closed', waitMs: 0 },
} as const
const busy = { ...idle, requests: { inFlight: 512, waiting: 512, concurrency: 512 } }

describe('claimable', () => {
  it('takes a batch of callbacks at the most, and no more than may run', () => {
    assert.equal(claimable(idle)?.callbacks, 32)
    assert.equal(claimable({ ...idle, running: 250 })?.callbacks, 6)
    assert.equal(claimable({ ...idle, running: 256 }), undefined)
    assert.equal(claimable({ ...idle, running: 300 }), undefined)
  })

  it('fills the slots and keeps as many requests waiting, whatever their callbacks count', () => {
    assert.deepEqual(claimable(idle), { callbacks: 32, objects: 1024, minAgeMs: 0 })
    assert.equal(claimable({ ...idle, requests: { inFlight: 512, waiting: 0, concurrency: 512 } })?.objects, 512)
    assert.equal(claimable({ ...idle, requests: { inFlight: 512, waiting: 511, concurrency: 512 } })?.objects, 1)
  })

  it('takes beyond that only what no other replica has wanted for a second, and not without end', () => {
    assert.deepEqual(claimable(busy), { callbacks: 32, objects: 1536, minAgeMs: 1000 })
    assert.equal(claimable({ ...busy, requests: { ...busy.requests, waiting: 2047 } })?.objects, 1)
    assert.equal(claimable({ ...busy, requests: { ...busy.requests, waiting: 2048 } }), undefined)
  })

  it('takes none while nothing may be asked, and one to probe with', () => {
    assert.equal(claimable({ ...idle, breaker: { state: 'open', waitMs: 10 } }), undefined)
    assert.equal(claimable({ ...idle, breaker: { state: 'closed', waitMs: 10 } }), undefined)
    assert.equal(claimable({ ...idle, breaker: { state: 'half-open', waitMs: 0 } })?.callbacks, 1)
  })
})
