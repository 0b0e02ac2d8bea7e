import assert from 'node:assert/strict'
import { createHistogram } from 'node:perf_hooks'
import { ActivityLog } from '../../../domain/activity/activity-log.ts'
import { Samples } from '../../../domain/activity/samples.ts'
import { Tally } from '../../../domain/activity/tally.ts'

const GAUGES = { fetches_in_flight: 3, fetches_waiting: 2, backlog: 7, live_objects: null, spool_callbacks: 0, eta_ms: 400 }

function setup() {
  let now = 5000
  const tally = new Tally(() => createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 2 }))
  const samples = new Samples({ max: 900, intervalMs: 1000 })
  const log = new ActivityLog({ tally, samples, gauges: () => GAUGES, nowMs: () => now, clockMs: () => 1_700_000_000_000 + now })
  return {
    tally,
    log,
    /** Lets time pass. @returns the sample that it takes then; undefined for none */
    later: (ms: number) => {
      now += ms
      const { lastNumber } = samples
      log.sample()
      return samples.after(lastNumber).rows.at(-1)?.sample
    },
  }
}

const accepted = (tookMs?: number) => ({ event: 'answered', outcome: 'accepted', workspace: 'shop', tookMs }) as const
const settled = (state: 'completed' | 'failed' | 'pending') =>
  ({ event: 'settled', id: 'a', workspace: 'shop', attempt: 1, state, objects: 1, waitedMs: 1, workedMs: 1 }) as const

describe('the log of activity', () => {
  it('says how much happened in a second, and what there is now', () => {
    const { tally, later } = setup()
    for (let i = 0; i < 10; i += 1) tally.onEvent(accepted(2))
    for (const state of ['completed', 'completed', 'failed', 'pending'] as const) tally.onEvent(settled(state))
    tally.onEvent({ event: 'spooled', count: 4 })
    for (const isAnswered of [true, true, true, false]) tally.fetched(isAnswered, 0.5)
    const { accept_p50_ms, accept_p99_ms, lateness_p99_ms, lateness_max_ms, ...others } = later(1000) ?? assert.fail('no sample')
    assert.deepEqual(others, { accepted: 10, completed: 2, failed: 1, spooled: 4, fetches_done: 3, fetches_failed: 1, ...GAUGES })
  })

  it('divides by the time that has really passed, so that a standstill invents no burst', () => {
    const { tally, later } = setup()
    for (let i = 0; i < 30; i += 1) tally.onEvent(accepted(2))
    assert.equal(later(6000)?.accepted, 5)
  })

  it('counts nothing twice', () => {
    const { tally, later } = setup()
    tally.onEvent(accepted(2))
    tally.expired([3])
    later(1000)
    const next = later(1000)
    assert.deepEqual([next?.accepted, next?.accept_p50_ms, next?.lateness_max_ms], [0, null, null])
  })

  it('takes no second sample in the same millisecond', () => {
    const { tally, later } = setup()
    tally.onEvent(accepted(2))
    assert.equal(later(0.5), undefined)
    assert.equal(later(999.5)?.accepted, 1)
  })

  it('has the median and the p99 of the times to accept, to 1 %', () => {
    const { tally, later } = setup()
    for (let ms = 1; ms <= 1000; ms += 1) tally.onEvent(accepted(ms))
    const { accept_p50_ms, accept_p99_ms } = later(1000) ?? assert.fail('no sample')
    assert.ok(Math.abs(Number(accept_p50_ms) - 500) <= 5, `p50 ${accept_p50_ms}`)
    assert.ok(Math.abs(Number(accept_p99_ms) - 990) <= 10, `p99 ${accept_p99_ms}`)
  })

  it('counts a replay among the times, but not among the accepted callbacks', () => {
    const { tally, later } = setup()
    tally.onEvent({ event: 'answered', outcome: 'replayed', workspace: 'shop', tookMs: 2 })
    const sample = later(1000)
    assert.deepEqual([sample?.accepted, sample?.accept_p50_ms !== null], [0, true])
  })

  it('has no times of refusals', () => {
    const { tally, later } = setup()
    tally.onEvent({ event: 'answered', outcome: 'overloaded', workspace: '' })
    const sample = later(1000)
    assert.deepEqual([sample?.accepted, sample?.accept_p50_ms], [0, null])
  })

  it('has the lateness of expired objects, an early one as none', () => {
    const { tally, later } = setup()
    tally.expired([-0.3, 1, 40])
    const { lateness_p99_ms, lateness_max_ms } = later(1000) ?? assert.fail('no sample')
    assert.ok(Math.abs(Number(lateness_max_ms) - 40) < 0.4, `max ${lateness_max_ms}`)
    assert.ok(Number(lateness_p99_ms) <= Number(lateness_max_ms))
  })

  it('counts a lateness of a day as an hour', () => {
    const { tally, later } = setup()
    tally.expired([86_400_000])
    assert.ok(Math.abs(Number(later(1000)?.lateness_max_ms) / 3_600_000 - 1) < 0.01)
  })

  it('knows the fetches of the last minute, and no older ones', () => {
    const { tally, log, later } = setup()
    tally.fetched(false, 9)
    later(1000)
    for (let i = 0; i < 59; i += 1) {
      tally.fetched(i % 2 === 0, 0.5)
      later(1000)
    }
    assert.deepEqual([log.fetchesOfLastMinute.answered, log.fetchesOfLastMinute.failed], [30, 30])
    later(1000)
    assert.deepEqual(log.fetchesOfLastMinute, { answered: 30, failed: 29, meanMs: 500 })
  })

  it('knows no average of no fetches', () => {
    const { log, later } = setup()
    later(1000)
    assert.deepEqual(log.fetchesOfLastMinute, { answered: 0, failed: 0, meanMs: undefined })
  })
})
