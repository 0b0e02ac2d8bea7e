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

  it('calls a worker alive that renews its lease in time, however rarely', () => {
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

  it('calls a worker dead after the grace without a session, and starts again with a worker that was gone', () => {
    for (const renewal of ['7', '7', null]) {
      assert.equal(
        lookFor(60_000, () => unlocked(renewal)),
        GRACE_MS,
      )
      liveness.observe([])
    }
  })

  it('calls a worker alive that renews its lease, although its session is not visible', () => {
    let renewals = 0
    assert.equal(
      lookFor(LEASE_MS, () => unlocked(`${renewals++}`)),
      undefined,
    )
  })

  it('calls a worker alive whose session is back within the grace', () => {
    for (let round = 0; round < 5; round += 1) {
      assert.equal(
        lookFor(400, () => unlocked('7')),
        undefined,
      )
      assert.deepEqual(liveness.observe([living(`${round}`)]), [])
    }
  })

  it('judges each worker separately', () => {
    const other = { number: 2, renewal: '1', leaseMs: LEASE_MS, isLocked: true }
    for (let look = 0; look < 3; look += 1) {
      assert.deepEqual(liveness.observe([unlocked('7'), other]), [])
      nowMs += INTERVAL_MS
    }
    assert.deepEqual(liveness.observe([unlocked('7'), other]), [1])
  })

  it('does not count time without looks, because all processes may have been suspended', () => {
    liveness.observe([living('7')])
    nowMs += 10 * LEASE_MS
    assert.deepEqual(liveness.observe([living('7')]), [])
    assert.equal(
      lookFor(LEASE_MS / 2, () => living('7')),
      undefined,
    )
  })

  it('starts again after an outage, and gives the others time to get their sessions back', () => {
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

  it('ignores signs from before an outage', () => {
    lookFor(LEASE_MS - INTERVAL_MS, () => living('7'))
    liveness.interrupted()
    assert.equal(
      lookFor(60_000, () => living('7')),
      LEASE_MS,
    )
  })

  it('needs no time to settle without an outage', () => {
    liveness.interrupted()
    assert.equal(
      lookFor(60_000, () => unlocked('7')),
      600,
    )
  })

  /** Looks once, as the watch does. @returns the number of living workers */
  function countOnce(...signs: WorkerSign[]): number {
    const count = liveness.countLiving(signs)
    liveness.observe(signs)
    nowMs += INTERVAL_MS
    return count
  }

  it('counts a worker that hangs until its lease ends, and again when it goes on', () => {
    const looks = LEASE_MS / INTERVAL_MS
    for (let look = 0; look <= looks; look += 1) assert.equal(countOnce(living('7')), 1)
    assert.equal(countOnce(living('7')), 0)
    assert.deepEqual([countOnce(living('8')), countOnce(living('8'))], [0, 1])
  })

  it('counts a worker that lost its session until it is dead, and never one that it has not seen alive', () => {
    const stranger = { ...unlocked('1'), number: 2 }
    assert.equal(countOnce(living('7'), stranger), 1)
    for (let passed = 0; passed < GRACE_MS; passed += INTERVAL_MS) assert.equal(countOnce(unlocked('7'), stranger), 1)
    assert.equal(countOnce(unlocked('7'), stranger), 0)
  })

  it('counts all that lived before an outage until they have had time to come back', () => {
    const both = (sign: WorkerSign): WorkerSign[] => [sign, { ...sign, number: 2 }]
    countOnce(...both(living('7')))
    liveness.interrupted()
    assert.equal(countOnce(...both(unlocked('7'))), 2)
    assert.equal(countOnce(living('8'), { ...unlocked('7'), number: 2 }), 2)
  })
})
