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
  it('takes a batch of callbacks at the most, and no more than may run', () => {
    assert.equal(claimQuota(idle)?.callbacks, 32)
    assert.equal(claimQuota({ ...idle, running: 250 })?.callbacks, 6)
    assert.equal(claimQuota({ ...idle, running: 256 }), undefined)
    assert.equal(claimQuota({ ...idle, running: 300 }), undefined)
  })

  it('fills the slots and keeps as many requests waiting, whatever their callbacks count', () => {
    assert.deepEqual(claimQuota(idle), { callbacks: 32, objects: 1024, minAgeMs: 0 })
    assert.equal(claimQuota({ ...idle, requests: { inFlight: 512, waiting: 0, concurrency: 512 } })?.objects, 512)
    assert.equal(claimQuota({ ...idle, requests: { inFlight: 512, waiting: 511, concurrency: 512 } })?.objects, 1)
  })

  it('takes beyond that only what no other replica has wanted for a second, and not without end', () => {
    assert.deepEqual(claimQuota(busy), { callbacks: 32, objects: 1536, minAgeMs: 1000 })
    assert.equal(claimQuota({ ...busy, requests: { ...busy.requests, waiting: 2047 } })?.objects, 1)
    assert.equal(claimQuota({ ...busy, requests: { ...busy.requests, waiting: 2048 } }), undefined)
  })

  it('takes none while nothing may be asked, and one to probe with', () => {
    assert.equal(claimQuota({ ...idle, breaker: { state: 'open', waitMs: 10 } }), undefined)
    assert.equal(claimQuota({ ...idle, breaker: { state: 'closed', waitMs: 10 } }), undefined)
    assert.equal(claimQuota({ ...idle, breaker: { state: 'half-open', waitMs: 0 } })?.callbacks, 1)
  })
})

describe('withinTurn', () => {
  const quota = { callbacks: 10, objects: 100, minAgeMs: 0 }

  it('claims nothing while it is the turn of nothing', () => {
    assert.equal(withinTurn(quota, { take: 'nothing' }), undefined)
  })

  it('leaves the quota of everything else as it is, and says whether suspects wait', () => {
    assert.deepEqual(withinTurn(quota, { take: 'others', suspectsWait: false }), quota)
    assert.deepEqual(withinTurn(quota, { take: 'others', suspectsWait: true }), { ...quota, suspectsWait: true })
  })

  it('claims suspects of one number of crashes: a group at the most, and no more than there is room for', () => {
    assert.deepEqual(withinTurn(quota, { take: 'suspects', crashes: 4, callbacks: 3 }), { ...quota, callbacks: 3, crashes: 4 })
    assert.deepEqual(withinTurn(quota, { take: 'suspects', crashes: 3, callbacks: 16 }), { ...quota, crashes: 3 })
  })
})
