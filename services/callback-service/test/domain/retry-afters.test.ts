import assert from 'node:assert/strict'
import { RetryAfters } from '../../domain/retry-afters.ts'

describe('RetryAfters', () => {
  it('keeps the latest word of an object', () => {
    const retryAfters = new RetryAfters({ maxMs: 60_000 })
    retryAfters.pushedBack(1n, { ms: 5000, reason: 'http_429' }, 0)
    retryAfters.pushedBack(1n, { ms: 1000, reason: 'http_503' }, 100)
    assert.deepEqual(retryAfters.of(1n, 100), { ms: 1000, reason: 'http_503' })
    assert.equal(retryAfters.of(1n, 1100), undefined)
  })

  it('forgets the oldest of more objects than it remembers', () => {
    const retryAfters = new RetryAfters({ maxMs: 60_000 })
    for (let id = 0n; id < 10_001n; id += 1n) retryAfters.pushedBack(id, { ms: 5000, reason: 'http_429' }, 0)
    assert.equal(retryAfters.of(0n, 1), undefined)
    assert.equal(retryAfters.of(1n, 1)?.ms, 4999)
    assert.equal(retryAfters.of(10_000n, 1)?.ms, 4999)
  })
})
