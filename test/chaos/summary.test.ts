import assert from 'node:assert/strict'
import type { Result } from './chaos.ts'
import { check } from './checker.ts'
import { info, ok, row, sent } from './evidence.ts'
import { isClean, report } from './report.ts'
import { merged, summaryOf } from './summary.ts'
import { placeOf } from './workspace-checker.ts'

/** Makes the result of a run with one callback. Its second POST was accepted. */
function result({ isThere }: { isThere: boolean }): Result {
  const callbacks = [sent([info, ok('a', 'spooled')])]
  const rows = isThere ? [row()] : []
  const stores = new Map([1, 2].map(id => [placeOf('default', id), [11_000]]))
  return {
    sent: callbacks,
    findings: check({ sent: callbacks, rows, transitions: [], stores, suspects: [], inflicted: [] }),
    recovered: 0,
    failed: 1,
    tried: 2,
    leases: { given: 5, lost: 1 },
    without: ['clock steps'],
    inflicted: [true, false].map((hasHappened, i) => ({
      ...{ kind: 'kill', atMs: 0, forMs: 0, replica: 0, share: 1, stepMs: 0, hasHappened },
      ...{ startedAtMs: i * 1000, liftedAtMs: i * 1000 + 500 },
    })) as Result['inflicted'],
    timings: { takeOver: [70], ready: [], firstClaim: [] },
    accidents: [],
    drainedMs: 300,
  }
}

describe('the summary of chaos', () => {
  it('adds runs up', () => {
    const sum = merged([summaryOf(result({ isThere: true }), 7), summaryOf(result({ isThere: false }), 8)])
    assert.deepEqual([sum.seeds, sum.callbacks, sum.sent, sum.ok, sum.spooled], [[7, 8], 2, 4, 2, 2])
    assert.deepEqual([sum.failed, sum.tried, sum.info, sum.faults, sum.missed], [2, 4, { ECONNRESET: 2 }, { kill: 2 }, 2])
    assert.deepEqual(sum.leases, { given: 10, lost: 2 })
    assert.deepEqual([sum.violations.lost, sum.timings.takeOver, sum.drainedMs, sum.without], [1, [70, 70], [300, 300], ['clock steps']])
  })

  it('is the same after it was stored in a file', () => {
    const summary = summaryOf(result({ isThere: false }), 7)
    assert.deepEqual(JSON.parse(JSON.stringify(summary)), summary)
  })

  it('is clean if nothing was found, and shows examples of the findings', () => {
    const [clean, dirty] = [true, false].map(isThere => summaryOf(result({ isThere }), 7)) as [
      ReturnType<typeof summaryOf>,
      ReturnType<typeof summaryOf>,
    ]
    assert.deepEqual([isClean(clean), isClean(dirty), isClean(merged([clean, dirty]))], [true, false, false])
    assert.match(report(dirty), /^lost +1$/m)
    assert.match(report(dirty), /^lost: k1: a$/m)
    assert.match(report(clean), /^fault: clock steps +left out: libfaketime is not installed$/m)
  })
})
