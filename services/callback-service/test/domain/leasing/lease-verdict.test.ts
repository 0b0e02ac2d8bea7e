import assert from 'node:assert/strict'
import { NotWantedError } from '../../../domain/leasing/lease-errors.ts'
import { leaseVerdict } from '../../../domain/leasing/lease-verdict.ts'
import { heldLease } from './held.ts'

const POLICY = { maxAttempts: 3, backoff: { baseMs: 1000, maxMs: 60_000 }, random: () => 0.5 }
const GIVE_BACK = { kind: 'give_back', unstored: [], isCharged: false, retryAfterMs: 0 } as const

describe('leaseVerdict', () => {
  it('completes a callback with its outcomes of earlier attempts, and those of this one', () => {
    const held = heldLease({ asked: [1n, 2n, 3n], delivered: [1n, 3n], offline: [3n], unstored: [{ id: 9n, outcome: 'not_found' }] })
    assert.deepEqual(leaseVerdict(held, { kind: 'complete', unstored: [{ id: 2n, outcome: 'failed', reason: 'http_400' }] }, POLICY), {
      state: 'completed',
      unstored: [
        { id: 9n, outcome: 'not_found' },
        { id: 3n, outcome: 'offline' },
        { id: 2n, outcome: 'failed', reason: 'http_400' },
      ],
    })
  })

  it('believes what was delivered more than what the agent says of it', () => {
    const held = heldLease({ asked: [1n], delivered: [1n] })
    const verdict = leaseVerdict(held, { kind: 'complete', unstored: [{ id: 1n, outcome: 'not_found' }] }, POLICY)
    assert.deepEqual(verdict, { state: 'completed', unstored: [] })
  })

  it('refuses an outcome of an object that was not asked for, however the lease ends', () => {
    const unstored = [{ id: 7n, outcome: 'not_found' }] as const
    for (const ending of [
      { ...GIVE_BACK, unstored },
      { kind: 'complete', unstored },
      { kind: 'fail', unstored, reason: 'http_500' },
    ] as const) {
      assert.throws(() => leaseVerdict(heldLease(), ending, POLICY), new NotWantedError([7n]))
    }
  })

  it('completes a callback that is given back with nothing left to do', () => {
    const held = heldLease({ delivered: [1n] })
    const verdict = leaseVerdict(held, { ...GIVE_BACK, unstored: [{ id: 2n, outcome: 'not_found' }], isCharged: true }, POLICY)
    assert.equal(verdict.state, 'completed')
  })

  it('keeps the reasons that the agent gives, and says of the others that they were given back', () => {
    const ending = { ...GIVE_BACK, unstored: [{ id: 2n, outcome: 'pending', reason: 'http_503' }], retryAfterMs: 7000 } as const
    assert.deepEqual(leaseVerdict(heldLease(), ending, POLICY), {
      state: 'pending',
      unstored: [
        { id: 1n, outcome: 'pending', reason: 'given_back' },
        { id: 2n, outcome: 'pending', reason: 'http_503' },
      ],
      isCharged: false,
      delayMs: 7000,
    })
  })

  it('waits with the backoff of the worker after a lease that is charged, and fails the callback after its last attempt', () => {
    const ending = { ...GIVE_BACK, isCharged: true }
    const second = leaseVerdict(heldLease({ attempt: 2 }), ending, POLICY)
    assert.ok(second.state === 'pending' && second.delayMs === 1000)
    const third = leaseVerdict(heldLease({ attempt: 3, delivered: [1n] }), ending, POLICY)
    assert.deepEqual(third, { state: 'failed', unstored: [{ id: 2n, outcome: 'failed', reason: 'given_back' }] })
  })

  it('never fails a callback for leases that are not charged', () => {
    assert.equal(leaseVerdict(heldLease({ attempt: 300 }), GIVE_BACK, POLICY).state, 'pending')
  })

  it('fails a callback with the reason of the agent for all that has none of its own', () => {
    const verdict = leaseVerdict(heldLease(), { kind: 'fail', unstored: [{ id: 2n, outcome: 'not_found' }], reason: 'http_401' }, POLICY)
    assert.deepEqual(verdict, {
      state: 'failed',
      unstored: [
        { id: 1n, outcome: 'failed', reason: 'http_401' },
        { id: 2n, outcome: 'not_found' },
      ],
    })
  })
})
