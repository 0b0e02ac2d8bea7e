import assert from 'node:assert/strict'
import { backoffMs } from '../../domain/backoff.ts'

const backoff = { retryBaseMs: 200, retryMaxMs: 10_000 }

describe('backoffMs', () => {
  it('is a random time up to a limit that doubles', () => {
    assert.equal(backoffMs(backoff, { failures: 1, retryAfterMs: undefined }, 1), 200)
    assert.equal(backoffMs(backoff, { failures: 3, retryAfterMs: undefined }, 1), 800)
    assert.equal(backoffMs(backoff, { failures: 3, retryAfterMs: undefined }, 0.25), 200)
  })

  it('stops doubling at its bound', () => {
    assert.equal(backoffMs(backoff, { failures: 5000, retryAfterMs: undefined }, 1), 10_000)
  })

  it('begins after the Retry-After of the receiver', () => {
    assert.equal(backoffMs(backoff, { failures: 1, retryAfterMs: 3000 }, 0), 3000)
    assert.equal(backoffMs(backoff, { failures: 1, retryAfterMs: 3000 }, 0.5), 3100)
  })

  it('does not let the receiver ask for more than the bound', () => {
    assert.equal(backoffMs(backoff, { failures: 1, retryAfterMs: 86_400_000 }, 0), 10_000)
  })
})
