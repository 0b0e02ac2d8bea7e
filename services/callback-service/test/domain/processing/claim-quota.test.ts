import assert from 'node:assert/strict'
import { claimRoom } from '../../../domain/processing/claim-quota.ts'

const idle = {
  running: 0,
  maxRunning: 256,
  requests: { inFlight: 0, waiting: 0, concurrency: 512 },
  breaker: { state: 'closed', waitMs: 0 },
} as const
const busy = { ...idle, requests: { inFlight: 512, waiting: 512, concurrency: 512 } }

describe('claimRoom', () => {
  it('allows at most one batch of callbacks, and no more than may run', () => {
    assert.equal(claimRoom(idle)?.callbacks, 32)
    assert.equal(claimRoom({ ...idle, running: 250 })?.callbacks, 6)
    assert.equal(claimRoom({ ...idle, running: 256 }), undefined)
    assert.equal(claimRoom({ ...idle, running: 300 }), undefined)
  })

  it('fills the slots and keeps as many requests waiting, whatever the number of callbacks', () => {
    assert.deepEqual(claimRoom(idle), { callbacks: 32, objects: 1024, minAgeMs: 0 })
    assert.equal(claimRoom({ ...idle, requests: { inFlight: 512, waiting: 0, concurrency: 512 } })?.objects, 512)
    assert.equal(claimRoom({ ...idle, requests: { inFlight: 512, waiting: 511, concurrency: 512 } })?.objects, 1)
  })

  it('allows beyond that only what no other replica has wanted for a second, up to a bound', () => {
    assert.deepEqual(claimRoom(busy), { callbacks: 32, objects: 1536, minAgeMs: 1000 })
    assert.equal(claimRoom({ ...busy, requests: { ...busy.requests, waiting: 2047 } })?.objects, 1)
    assert.equal(claimRoom({ ...busy, requests: { ...busy.requests, waiting: 2048 } }), undefined)
  })

  it('allows none while no request may leave, and one to probe with', () => {
    assert.equal(claimRoom({ ...idle, breaker: { state: 'open', waitMs: 10 } }), undefined)
    assert.equal(claimRoom({ ...idle, breaker: { state: 'closed', waitMs: 10 } }), undefined)
    assert.equal(claimRoom({ ...idle, breaker: { state: 'half-open', waitMs: 0 } })?.callbacks, 1)
  })
})
