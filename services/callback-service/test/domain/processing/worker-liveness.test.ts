import assert from 'node:assert/strict'
import { WorkerLiveness, type WorkerSign } from '../../../domain/processing/worker-liveness.ts'

const LEASE_MS = 15_000
const GRACE_MS = 600
const INTERVAL_MS = 200

describe('WorkerLiveness', () => {
  let nowMs: number
  let liveness: WorkerLiveness

  beforeEach(() => {
    nowMs = 1_000_000
    liveness = new WorkerLiveness({ graceMs: GRACE_MS, intervalMs: INTERVAL_MS, nowMs: () => nowMs })
  })

  const living = (renewal: string): WorkerSign => ({ number: 1, renewal, leaseMs: LEASE_MS, isLocked: true })
  const unlocked = (renewal: string | null): WorkerSign => ({
    number: 1,
    renewal,
    leaseMs: renewal === null ? null : LEASE_MS,
    isLocked: false,
  })

  /** Looks as often as the watch does, for `ms`. @returns the time after which the worker was dead; undefined if it never was */
  function lookFor(ms: number, sign: () => WorkerSign): number | undefined {
    for (let passed = 0; passed <= ms; passed += INTERVAL_MS) {
      if (liveness.observe([sign()]).length > 0) return passed
      nowMs += INTERVAL_MS
    }
    return undefined
  }

  it('lets a worker live that renews its lease, however seldom it manages to within the lease', () => {
    for (let renewal = 0; renewal < 10; renewal += 1)
      assert.equal(
        lookFor(LEASE_MS - 2 * INTERVAL_MS, () => living(`${renewal}`)),
        undefined,
      )
  })

  it('calls a worker dead that keeps its lock and has not renewed its lease for a whole lease, and not before', () => {
    assert.equal(
      lookFor(60_000, () => living('7')),
      LEASE_MS,
    )
  })

  it('goes by the lease of the worker, not by its own', () => {
    const brief = (): WorkerSign => ({ ...living('7'), leaseMs: 2000 })
    assert.equal(lookFor(60_000, brief), 2000)
  })

  it('calls a worker dead that has had no session for the grace, and begins anew with one that was gone', () => {
    for (const renewal of ['7', '7', null]) {
      assert.equal(
        lookFor(60_000, () => unlocked(renewal)),
        GRACE_MS,
      )
      liveness.observe([])
    }
  })

  it('lets a worker live that renews its lease, though its session is not to be seen', () => {
    let renewals = 0
    assert.equal(
      lookFor(LEASE_MS, () => unlocked(`${renewals++}`)),
      undefined,
    )
  })

  it('lets a worker live whose session is back within the grace', () => {
    for (let round = 0; round < 5; round += 1) {
      assert.equal(
        lookFor(400, () => unlocked('7')),
        undefined,
      )
      assert.deepEqual(liveness.observe([living(`${round}`)]), [])
    }
  })

  it('tells workers apart', () => {
    const other = { number: 2, renewal: '1', leaseMs: LEASE_MS, isLocked: true }
    for (let look = 0; look < 3; look += 1) {
      assert.deepEqual(liveness.observe([unlocked('7'), other]), [])
      nowMs += INTERVAL_MS
    }
    assert.deepEqual(liveness.observe([unlocked('7'), other]), [1])
  })

  it('does not count the time in which nobody looked: all may have been suspended', () => {
    liveness.observe([living('7')])
    nowMs += 10 * LEASE_MS
    assert.deepEqual(liveness.observe([living('7')]), [])
    assert.equal(
      lookFor(LEASE_MS / 2, () => living('7')),
      undefined,
    )
  })

  it('begins again after an outage, and gives the others time to make their sessions', () => {
    lookFor(400, () => unlocked('7'))
    liveness.interrupted()
    assert.equal(
      lookFor(2000, () => unlocked('7')),
      undefined,
    )
    nowMs += 2500 - 2200 - 1
    assert.deepEqual(liveness.observe([unlocked('7')]), [])
    nowMs += 1
    assert.deepEqual(liveness.observe([unlocked('7')]), [1])
  })

  it('counts nothing that it saw before an outage', () => {
    lookFor(LEASE_MS - INTERVAL_MS, () => living('7'))
    liveness.interrupted()
    assert.equal(
      lookFor(60_000, () => living('7')),
      LEASE_MS,
    )
  })

  it('needs no time to settle where there was no outage', () => {
    liveness.interrupted()
    assert.equal(
      lookFor(60_000, () => unlocked('7')),
      600,
    )
  })
})
