import assert from 'node:assert/strict'
import { type CallbackCounts, NO_CALLBACKS, WorkspaceForecast } from '../../../domain/accepting/workspace-forecast.ts'

describe('WorkspaceForecast', () => {
  let nowMs: number
  let forecast: WorkspaceForecast

  beforeEach(() => {
    nowMs = 5000
    forecast = new WorkspaceForecast()
  })

  const count = (counts: Partial<CallbackCounts>): void => forecast.count({ ...NO_CALLBACKS, ...counts }, 2000, nowMs)
  const expected = (objects = 1) => forecast.forecast(objects, nowMs)

  function claim(waitedMs = 0): void {
    forecast.onEvent({ event: 'claimed', id: 'a', workspace: 'shop', attempt: 1, waitedMs })
  }

  function settle(workedMs: number, { objects = 1, state = 'completed' as 'completed' | 'pending', attempt = 1, waitedMs = 0 } = {}): void {
    forecast.onEvent({ event: 'settled', id: 'a', workspace: 'shop', attempt, state, objects, waitedMs, workedMs })
  }

  it('knows nothing before the first look at the database', () => {
    forecast.accepted()
    assert.equal(expected(), undefined)
  })

  it('knows nothing once the last look is too old', () => {
    count({})
    nowMs += 10_001
    assert.equal(expected(), undefined)
  })

  it('takes for the backlog what was unfinished, what was accepted since, and not what has ended since', () => {
    count({ unfinished: 10, paused: 5 })
    for (let i = 0; i < 3; i += 1) forecast.accepted()
    settle(100)
    settle(100, { state: 'pending' })
    assert.equal(expected()?.backlog, 12)
  })

  it('never has a backlog below 0', () => {
    count({})
    settle(100)
    assert.equal(expected()?.backlog, 0)
  })

  it('goes on with the trend of what the other replicas do', () => {
    count({ unfinished: 100 })
    nowMs += 2000
    // Of the 60 more, 20 are ours. The others added 40 in 2 s, and half of that trend counts.
    for (let i = 0; i < 20; i += 1) forecast.accepted()
    count({ unfinished: 160 })
    nowMs += 1000
    assert.equal(expected()?.backlog, 170)
  })

  it('does not know when it will be finished before any callback was', () => {
    count({})
    assert.deepEqual(expected(), { backlog: 0, etaMs: null })
  })

  it('expects what callbacks typically took, while no backlog stands', () => {
    count({ finished: 20 })
    for (const ms of [2000, 2100, 60_000]) {
      claim(50)
      settle(ms)
    }
    assert.equal(expected()?.etaMs, 2150)
  })

  it('expects that a callback with more objects takes longer', () => {
    count({ finished: 20 })
    settle(500, { objects: 1 })
    settle(4000, { objects: 100 })
    assert.deepEqual([expected(1)?.etaMs, expected(120)?.etaMs, expected(1000)?.etaMs], [500, 4000, 4000])
  })

  it('adds the time that a standing backlog takes at the rate at which callbacks finish', () => {
    settle(2000)
    count({ unfinished: 520, due: 500, running: 20, finished: 100 })
    // 50 finish in a second, and 500 are due before.
    assert.equal(expected()?.etaMs, 12_000)
    for (let i = 0; i < 100; i += 1) forecast.accepted()
    for (let i = 0; i < 50; i += 1) claim()
    assert.equal(expected()?.etaMs, 13_000)
  })

  it('measures the rate again when a backlog begins to stand', () => {
    settle(2000)
    for (const counts of [{ finished: 2 }, { finished: 2 }, { due: 100, running: 40, finished: 10 }]) {
      nowMs += 2000
      count(counts)
    }
    // The 40 that run take 2 s each, so 20 finish in a second.
    assert.equal(expected()?.etaMs, 7000)
    count({ due: 100, running: 40, finished: 50 })
    assert.equal(expected()?.etaMs, 6000)
  })

  it('does not know when it will be finished while a backlog stands and nothing finishes', () => {
    settle(2000)
    count({ unfinished: 500, due: 500 })
    assert.deepEqual(expected(), { backlog: 500, etaMs: null })
  })

  it('does not know how fast a burst goes that began after the last look', () => {
    settle(2000)
    count({ finished: 2 })
    for (let i = 0; i < 51; i += 1) forecast.accepted()
    assert.deepEqual(expected(), { backlog: 51, etaMs: null })
  })

  it('forgets the waits of a backlog that is gone', () => {
    claim(60_000)
    settle(2000)
    count({ finished: 100 })
    assert.equal(expected()?.etaMs, 2250)
  })

  it('takes the time in earlier attempts for work', () => {
    count({ finished: 100 })
    claim(100)
    settle(500, { attempt: 2, waitedMs: 1600 })
    assert.equal(expected()?.etaMs, 2100)
  })

  it('follows from the callbacks that run and finish if only other replicas work', () => {
    count({ unfinished: 60, running: 60, finished: 60 })
    assert.equal(expected()?.etaMs, 2000)
  })
})
