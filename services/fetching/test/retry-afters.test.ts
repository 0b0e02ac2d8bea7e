import assert from 'node:assert/strict'
import { RetryAfters } from '../retry-afters.ts'

const quiet = { ms: 5000, reason: 'http_429' }

describe('RetryAfters', () => {
  it('keeps the latest Retry-After of an object', () => {
    const retryAfters = new RetryAfters({ maxMs: 60_000 })
    retryAfters.pushedBack(1n, { ms: 5000, reason: 'http_429' }, 0)
    retryAfters.pushedBack(1n, { ms: 1000, reason: 'http_503' }, 100)
    assert.deepEqual(retryAfters.of(1n, 100), { ms: 1000, reason: 'http_503' })
    assert.equal(retryAfters.of(1n, 1100), undefined)
  })

  it('forgets the object with the oldest Retry-After if there are too many', () => {
    const retryAfters = new RetryAfters({ maxMs: 60_000 })
    for (let id = 0n; id < 10_000n; id += 1n) retryAfters.pushedBack(id, quiet, 0)
    retryAfters.pushedBack(0n, quiet, 0)
    assert.equal(retryAfters.of(1n, 1)?.ms, 4999)
    retryAfters.pushedBack(10_000n, quiet, 0)
    assert.equal(retryAfters.of(1n, 1), undefined)
    for (const id of [0n, 2n, 10_000n]) assert.equal(retryAfters.of(id, 1)?.ms, 4999)
  })

  it('counts push-backs within one second, and begins again with the next', () => {
    const retryAfters = new RetryAfters({ maxMs: 60_000 })
    const pauses = [5000, 5500, 6000, 6500, 6999].map((now, i) => retryAfters.pushedBack(BigInt(i), quiet, now))
    assert.deepEqual(pauses, [false, false, false, false, true])
  })
})
