import assert from 'node:assert/strict'
import { Forecasts } from '../../../domain/accepting/forecasts.ts'
import { NO_CALLBACKS } from '../../../domain/accepting/workspace-forecast.ts'

describe('Forecasts', () => {
  let nowMs: number
  let heldUp: string[]
  let forecasts: Forecasts

  beforeEach(() => {
    nowMs = 5000
    heldUp = []
    forecasts = new Forecasts({ isHeldUp: name => heldUp.includes(name), nowMs: () => nowMs })
  })

  const settle = (workspace: string, workedMs = 300, objects = 1): void =>
    forecasts.onEvent({
      event: 'settled',
      id: 'a',
      workspace,
      attempt: 1,
      state: 'completed',
      objects,
      waitedMs: 0,
      workedMs,
    })

  it('are those of one workspace each', () => {
    forecasts.count(new Map([['shop', { ...NO_CALLBACKS, unfinished: 7 }]]), 2000)
    forecasts.accepted('shop')
    forecasts.accepted('default')
    assert.equal(forecasts.forecast('shop', 1)?.backlog, 8)
  })

  it('take a workspace that a look does not name for empty', () => {
    forecasts.count(new Map([['shop', { ...NO_CALLBACKS, unfinished: 7 }]]), 2000)
    forecasts.count(new Map(), 2000)
    assert.equal(forecasts.forecast('shop', 1)?.backlog, 0)
  })

  it('do not say when a callback will be finished while its workspace is held up', () => {
    forecasts.count(new Map(), 2000)
    forecasts.count(new Map([['shop', { ...NO_CALLBACKS, unfinished: 3 }]]), 2000)
    settle('shop')
    assert.equal(forecasts.forecast('shop', 1)?.etaMs, 300)
    heldUp.push('shop')
    assert.deepEqual(forecasts.forecast('shop', 1), { backlog: 2, etaMs: null })
  })

  describe('of the workspace where it takes longest', () => {
    const count = (...workspaces: string[]): void =>
      forecasts.count(new Map(workspaces.map(name => [name, { ...NO_CALLBACKS, unfinished: 3, running: 3 }])), 2000)

    it('are unknown before anything is', () => {
      assert.equal(forecasts.longestEtaMs, null)
    })

    it('count the workspaces that have unfinished callbacks', () => {
      count('shop', 'farm')
      settle('shop', 300)
      settle('farm', 700)
      assert.equal(forecasts.longestEtaMs, 700)
      count('shop')
      settle('shop', 300)
      assert.equal(forecasts.longestEtaMs, 300)
    })

    it('leave out a workspace that is held up', () => {
      count('shop', 'farm')
      settle('shop', 300)
      settle('farm', 700)
      heldUp.push('farm')
      assert.equal(forecasts.longestEtaMs, 300)
      heldUp.push('shop')
      assert.equal(forecasts.longestEtaMs, null)
    })

    it('are those of the workspace that worked last if nothing is unfinished', () => {
      count('shop', 'farm')
      settle('farm', 700)
      settle('shop', 300)
      count()
      assert.equal(forecasts.longestEtaMs, 300)
    })

    it('are for a callback with as many objects as usual', () => {
      count('shop')
      for (const [objects, workedMs] of [
        [1, 300],
        [64, 4000],
        [64, 4000],
        [64, 4000],
      ] as const)
        settle('shop', workedMs, objects)
      assert.equal(forecasts.longestEtaMs, 4000)
    })
  })

  it('know an empty workspace that came after the last look', () => {
    forecasts.count(new Map(), 2000)
    assert.deepEqual(forecasts.forecast('new', 1), { backlog: 0, etaMs: null })
  })

  it('ask for a window as long as the time since the last look, within bounds', () => {
    assert.equal(forecasts.windowMs, 2000)
    forecasts.count(new Map(), 2000)
    nowMs += 3000
    assert.equal(forecasts.windowMs, 3000)
    nowMs += 60_000
    assert.equal(forecasts.windowMs, 10_000)
  })
})
