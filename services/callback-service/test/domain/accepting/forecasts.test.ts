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

  const settle = (workspace: string): void =>
    forecasts.onEvent({
      event: 'settled',
      id: 'a',
      workspace,
      attempt: 1,
      state: 'completed',
      objects: 1,
      waitedMs: 0,
      workedMs: 300,
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
