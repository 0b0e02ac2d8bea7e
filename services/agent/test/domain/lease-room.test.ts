import assert from 'node:assert/strict'
import { leaseRoom } from '../../domain/lease-room.ts'

describe('the room for leases', () => {
  const now = {
    held: 0,
    maxHeld: 1000,
    requests: { inFlight: 0, waiting: 0, concurrency: 10 },
    breaker: { state: 'closed', waitMs: 0 },
  } as const

  it('fills the slots and as many places to wait', () => {
    assert.deepEqual(leaseRoom(now), { callbacks: 100, objects: 20 })
    assert.deepEqual(leaseRoom({ ...now, requests: { inFlight: 10, waiting: 4, concurrency: 10 } }), { callbacks: 100, objects: 6 })
  })

  it('asks for no more than one request may', () => {
    assert.equal(leaseRoom({ ...now, requests: { inFlight: 0, waiting: 0, concurrency: 9000 } })?.objects, 10_000)
  })

  it('is none while enough requests wait, or the agent holds all it may', () => {
    assert.equal(leaseRoom({ ...now, requests: { inFlight: 10, waiting: 10, concurrency: 10 } }), undefined)
    assert.equal(leaseRoom({ ...now, held: 1000 }), undefined)
    assert.equal(leaseRoom({ ...now, held: 990 })?.callbacks, 10)
  })

  it('is none while no request may leave', () => {
    assert.equal(leaseRoom({ ...now, breaker: { state: 'open', waitMs: 1 } }), undefined)
    assert.equal(leaseRoom({ ...now, breaker: { state: 'closed', waitMs: 1 } }), undefined)
  })

  it('is one callback to probe with, unless the agent holds one', () => {
    assert.equal(leaseRoom({ ...now, breaker: { state: 'half-open', waitMs: 0 } })?.callbacks, 1)
    assert.equal(leaseRoom({ ...now, held: 1, breaker: { state: 'half-open', waitMs: 0 } }), undefined)
  })
})
