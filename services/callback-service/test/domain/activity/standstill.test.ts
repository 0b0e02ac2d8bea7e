import assert from 'node:assert/strict'
import { type CallbackCounts, NO_CALLBACKS } from '../../../domain/accepting/workspace-forecast.ts'
import { Standstill } from '../../../domain/activity/standstill.ts'

function setup() {
  const state = { nowMs: 0, stopped: new Set<string>() }
  const standstill = new Standstill({ mayRun: name => !state.stopped.has(name), nowMs: () => state.nowMs })
  const counted = (counts: Record<string, Partial<CallbackCounts>>): void =>
    standstill.counted(new Map(Object.entries(counts).map(([name, some]) => [name, { ...NO_CALLBACKS, ...some }])))
  return { state, standstill, counted }
}

describe('a standstill', () => {
  it('is noticed when callbacks have waited for 30 s and none ran', () => {
    const { state, standstill, counted } = setup()
    counted({ shop: { due: 3 }, farm: { due: 2 } })
    state.nowMs = 29_999
    assert.equal(standstill.now, undefined)
    state.nowMs = 30_000
    assert.deepEqual(standstill.now, { waiting: 5, ms: 30_000 })
  })

  it('is noticed although the database is counted every two seconds meanwhile', () => {
    const { state, standstill, counted } = setup()
    for (; state.nowMs < 30_000; state.nowMs += 2000) counted({ shop: { due: 3 } })
    assert.deepEqual(standstill.now, { waiting: 3, ms: 30_000 })
  })

  for (const [what, counts] of [
    ['a callback runs at any replica', { shop: { due: 3 }, farm: { running: 1 } }],
    ['callbacks finish between two looks', { shop: { due: 3, finished: 1 } }],
    ['nothing waits any more', {}],
  ] as const) {
    it(`ends when ${what}`, () => {
      const { state, standstill, counted } = setup()
      counted({ shop: { due: 3 } })
      state.nowMs = 40_000
      counted(counts)
      assert.equal(standstill.now, undefined)
      counted({ shop: { due: 3 } })
      state.nowMs = 69_999
      assert.equal(standstill.now, undefined)
    })
  }

  it('ends at once when a callback begins to run here', () => {
    const { state, standstill, counted } = setup()
    counted({ shop: { due: 3 } })
    state.nowMs = 40_000
    standstill.ran()
    assert.equal(standstill.now, undefined)
  })

  it('is none while the callbacks wait for a known reason', () => {
    const { state, standstill, counted } = setup()
    state.stopped.add('shop')
    counted({ shop: { due: 3 } })
    state.nowMs = 40_000
    assert.equal(standstill.now, undefined)
  })

  it('is none while all callbacks are paused or not due', () => {
    const { state, standstill, counted } = setup()
    counted({ shop: { unfinished: 5, paused: 2 } })
    state.nowMs = 40_000
    assert.equal(standstill.now, undefined)
  })
})
