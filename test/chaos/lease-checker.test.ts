import assert from 'node:assert/strict'
import { found, row } from './evidence.ts'
import { STRAY_REASON } from './lease-checker.ts'

const FAILED = { id: '2', outcome: 'failed' }

describe('the checker of leases', () => {
  const evidence = (unstored: readonly { id: string; outcome: string; reason?: string }[]) => {
    const { stale } = found({ rows: [row({ unstored })] })
    return stale
  }

  it('finds an outcome that only a stray can have reported', () => {
    assert.equal(evidence([{ ...FAILED, reason: STRAY_REASON }]), 1)
    assert.equal(evidence([{ ...FAILED, reason: 'http_400' }]), undefined)
  })

  it('finds objects that were stored untrue, or as if they were asked for later', () => {
    const suspects = [
      { callbackId: 'a', place: 'default 1', why: 'untrue' },
      { callbackId: 'a', place: 'default 2', why: 'fresh' },
    ] as const
    assert.deepEqual(found({ suspects }), { stale: 2 })
  })
})
