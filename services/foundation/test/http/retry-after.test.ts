import assert from 'node:assert/strict'
import { parseRetryAfterMs } from '../../http/retry-after.ts'

describe('parseRetryAfterMs', () => {
  it('reads seconds and dates, and nothing else', () => {
    assert.equal(parseRetryAfterMs('120'), 120_000)
    const inAMinute = parseRetryAfterMs(new Date(Date.now() + 60_000).toUTCString()) ?? 0
    assert.ok(inAMinute > 58_000 && inAMinute <= 60_000, String(inAMinute))
    assert.equal(parseRetryAfterMs('Wed, 21 Oct 2015 07:28:00 GMT'), 0)
    for (const other of ['soon', 'x120', '120x', ['120'], undefined]) assert.equal(parseRetryAfterMs(other), undefined)
  })
})
