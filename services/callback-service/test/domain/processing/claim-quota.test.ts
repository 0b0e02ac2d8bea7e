import assert from 'node:assert/strict'
import { claimable, withinTurn } from '../../../domain/processing/claim-quota.ts'

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

describe('withinTurn', () => {
  const room = { callbacks: 10, objects: 100, minAgeMs: 0 }

  it('claims nothing while it is the turn of nothing', () => {
    assert.equal(withinTurn(room, { take: 'nothing' }), undefined)
  })

  it('leaves the room of everything else as it is, and says whether suspects wait', () => {
    assert.deepEqual(withinTurn(room, { take: 'others', suspectsWait: false }), room)
    assert.deepEqual(withinTurn(room, { take: 'others', suspectsWait: true }), { ...room, suspectsWait: true })
  })

  it('claims suspects of one number of crashes: a group at the most, and no more than there is room for', () => {
    assert.deepEqual(withinTurn(room, { take: 'suspects', crashes: 4, callbacks: 3 }), { ...room, callbacks: 3, crashes: 4 })
    assert.deepEqual(withinTurn(room, { take: 'suspects', crashes: 3, callbacks: 16 }), { ...room, crashes: 3 })
  })
})
