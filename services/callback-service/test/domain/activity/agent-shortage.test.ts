import assert from 'node:assert/strict'
import { type CallbackCounts, NO_CALLBACKS } from '../../../domain/accepting/workspace-forecast.ts'
import { AgentShortage } from '../../../domain/activity/agent-shortage.ts'

function setup() {
  const state = { nowMs: 0, agents: new Set<string>(), served: new Set(['default']) }
  const shortage = new AgentShortage({
    needsAgent: name => !state.served.has(name),
    hasAgent: name => state.agents.has(name),
    nowMs: () => state.nowMs,
  })
  const counted = (counts: Record<string, Partial<CallbackCounts>>): void =>
    shortage.counted(new Map(Object.entries(counts).map(([name, some]) => [name, { ...NO_CALLBACKS, ...some }])))
  return { state, shortage, counted }
}

describe('a shortage of agents', () => {
  it('is seen at once where callbacks are due and no agent is alive, and says for how long', () => {
    const { state, shortage, counted } = setup()
    counted({ shop: { due: 3 } })
    state.nowMs = 2000
    counted({ shop: { due: 4 } })
    state.nowMs = 5000
    assert.deepEqual(shortage.now, [{ workspace: 'shop', waiting: 4, hasAgent: false, ms: 5000 }])
  })

  it('is none where the service fetches, or where nothing is due', () => {
    const { shortage, counted } = setup()
    counted({ default: { due: 3 }, shop: { running: 2, unfinished: 2 } })
    assert.deepEqual(shortage.now, [])
  })

  it('is seen after a minute where an agent is alive and takes nothing', () => {
    const { state, shortage, counted } = setup()
    state.agents.add('shop')
    counted({ shop: { due: 3 } })
    state.nowMs = 59_999
    assert.deepEqual(shortage.now, [])
    state.nowMs = 60_000
    assert.deepEqual(shortage.now, [{ workspace: 'shop', waiting: 3, hasAgent: true, ms: 60_000 }])
  })

  for (const [what, counts] of [
    ['one takes a callback', { shop: { due: 3, running: 1 } }],
    ['one finishes a callback between two looks', { shop: { due: 3, finished: 1 } }],
    ['nothing is due any more', {}],
  ] as const) {
    it(`ends when ${what}, and begins again from there`, () => {
      const { state, shortage, counted } = setup()
      state.agents.add('shop')
      counted({ shop: { due: 3 } })
      state.nowMs = 70_000
      counted(counts)
      counted({ shop: { due: 3 } })
      assert.deepEqual(shortage.now, [])
    })
  }

  it('goes on without an agent alive although one left a callback running', () => {
    const { shortage, counted } = setup()
    counted({ shop: { due: 3, running: 1 } })
    assert.equal(shortage.now.length, 1)
  })

  describe('of callbacks that no living agent suits', () => {
    const unsuited = { workspace: 'shop', waiting: 2, callback: 'a', ms: 90_000 }

    it('is seen although the agents are busy with others, and names a callback', () => {
      const { state, shortage, counted } = setup()
      state.agents.add('shop')
      counted({ shop: { due: 7, running: 5, finished: 3 } })
      shortage.foundUnsuited([unsuited])
      assert.deepEqual(shortage.now, [{ ...unsuited, hasAgent: true }])
      shortage.foundUnsuited([])
      assert.deepEqual(shortage.now, [])
    })

    it('is told once where no callback was taken either', () => {
      const { state, shortage, counted } = setup()
      state.agents.add('shop')
      counted({ shop: { due: 7 } })
      state.nowMs = 60_000
      shortage.foundUnsuited([unsuited])
      assert.deepEqual(shortage.now, [{ ...unsuited, hasAgent: true }])
    })

    it('is less than the shortage of a workspace without any agent alive', () => {
      const { shortage, counted } = setup()
      counted({ shop: { due: 7 } })
      shortage.foundUnsuited([unsuited])
      assert.deepEqual(shortage.now, [{ workspace: 'shop', waiting: 7, hasAgent: false, ms: 0 }])
    })

    it('is none where the service fetches, or the workspace is paused', () => {
      const { state, shortage } = setup()
      state.agents.add('default')
      shortage.foundUnsuited([{ ...unsuited, workspace: 'default' }])
      assert.deepEqual(shortage.now, [])
    })
  })

  it('names the workspaces without any agent first, then the one with the most callbacks', () => {
    const { state, shortage, counted } = setup()
    state.agents.add('labels')
    counted({ labels: { due: 9 }, few: { due: 1 }, many: { due: 5 } })
    state.nowMs = 60_000
    assert.deepEqual(
      shortage.now.map(({ workspace }) => workspace),
      ['many', 'few', 'labels'],
    )
  })
})
