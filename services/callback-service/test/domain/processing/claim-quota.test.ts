import assert from 'node:assert/strict'
import { claimQuota, withinTurn } from '../../../domain/processing/claim-quota.ts'

const idle = {
  running: 0,
  maxRunning: 256,
  requests: { inFlight: 0, waiting: 0, concurrency: 512 },
  breaker: { state: 'closed', waitMs: 0 },
} as const
const busy = { ...idle, requests: { inFlight: 512, waiting: 512, concurrency: 512 } }

describe('claimable', () => {
  it('allows at most one batch of callbacks, and no more than may run', () => {
    assert.equal(claimQuota(idle)?.callbacks, 32)
    assert.equal(claimQuota({ ...idle, running: 250 })?.callbacks, 6)
    assert.equal(claimQuota({ ...idle, running: 256 }), undefined)
    assert.equal(claimQuota({ ...idle, running: 300 }), undefined)
  })

  it('fills the slots and keeps as many requests waiting, whatever the number of callbacks', () => {
    assert.deepEqual(claimQuota(idle), { callbacks: 32, objects: 1024, minAgeMs: 0 })
    assert.equal(claimQuota({ ...idle, requests: { inFlight: 512, waiting: 0, concurrency: 512 } })?.objects, 512)
    assert.equal(claimQuota({ ...idle, requests: { inFlight: 512, waiting: 511, concurrency: 512 } })?.objects, 1)
  })

  it('allows beyond that only what no other replica has wanted for a second, up to a bound', () => {
    assert.deepEqual(claimQuota(busy), { callbacks: 32, objects: 1536, minAgeMs: 1000 })
    assert.equal(claimQuota({ ...busy, requests: { ...busy.requests, waiting: 2047 } })?.objects, 1)
    assert.equal(claimQuota({ ...busy, requests: { ...busy.requests, waiting: 2048 } }), undefined)
  })

  it('allows none while no request may leave, and one to probe with', () => {
    assert.equal(claimQuota({ ...idle, breaker: { state: 'open', waitMs: 10 } }), undefined)
    assert.equal(claimQuota({ ...idle, breaker: { state: 'closed', waitMs: 10 } }), undefined)
    assert.equal(claimQuota({ ...idle, breaker: { state: 'half-open', waitMs: 0 } })?.callbacks, 1)
  })
})

describe('withinTurn', () => {
  const quota = { callbacks: 10, objects: 100, minAgeMs: 0 }

  it('allows nothing while suspects wait for the others to end', () => {
    assert.equal(withinTurn(quota, { take: 'nothing' }), undefined)
  })

  it('does not change the quota of other callbacks, and says whether suspects wait', () => {
    assert.deepEqual(withinTurn(quota, { take: 'others', suspectsWait: false }), quota)
    assert.deepEqual(withinTurn(quota, { take: 'others', suspectsWait: true }), { ...quota, suspectsWait: true })
  })

  it('allows suspects of one number of crashes, at most one group, and no more than the quota', () => {
    assert.deepEqual(withinTurn(quota, { take: 'suspects', crashes: 4, callbacks: 3 }), { ...quota, callbacks: 3, crashes: 4 })
    assert.deepEqual(withinTurn(quota, { take: 'suspects', crashes: 3, callbacks: 16 }), { ...quota, crashes: 3 })
  })
})
