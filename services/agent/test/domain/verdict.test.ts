import assert from 'node:assert/strict'
import { crashed, verdictOf } from '../../domain/verdict.ts'

describe('the verdict of an agent', () => {
  it('completes a callback whose objects all have an outcome, and names those that are not delivered', () => {
    const verdict = verdictOf(
      [1n, 2n, 3n],
      [{ kind: 'stored', answer: { online: false } }, { kind: 'not_found' }, { kind: 'failed', reason: 'http_400' }],
    )
    assert.deepEqual(verdict, {
      state: 'completed',
      unstored: [
        { id: 2n, outcome: 'not_found' },
        { id: 3n, outcome: 'failed', reason: 'http_400' },
      ],
    })
  })

  it('gives a callback back while an object is pending, charged if one of them is to blame', () => {
    const verdict = verdictOf(
      [1n, 2n, 3n],
      [
        { kind: 'pending', reason: 'http_503', isCharged: true, retryAfterMs: 100 },
        { kind: 'pending', reason: 'interrupted', isCharged: false },
        { kind: 'pending', reason: 'http_429', isCharged: false, retryAfterMs: 2500 },
      ],
    )
    assert.equal(verdict.state, 'pending')
    assert.deepEqual(verdict.state === 'pending' && [verdict.isCharged, verdict.retryAfterMs, verdict.unstored.length], [true, 2500, 3])
  })

  it('completes a callback without objects', () => {
    assert.deepEqual(verdictOf([], []), { state: 'completed', unstored: [] })
  })

  it('charges an error of the agent itself', () => {
    assert.deepEqual(crashed([7n]), {
      state: 'pending',
      unstored: [{ id: 7n, outcome: 'pending', reason: 'internal_error' }],
      isCharged: true,
      retryAfterMs: 0,
    })
  })
})
