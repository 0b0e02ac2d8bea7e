import assert from 'node:assert/strict'
import { row, step } from './evidence.ts'
import { checkStream, type Heard } from './stream-checker.ts'

describe('the checker of the stream', () => {
  const transitions = [step('pending', 'running', 'x', { atMs: 15_000 }), step('running', 'completed', 'x', { atMs: 20_000 })]
  const unseen = (heard: Partial<Heard>): number =>
    checkStream([row()], transitions, new Map([['default', { sinceMs: 10_000, states: new Map(), ...heard }]])).length

  it('finds nothing if the last state that came is that in the database', () => {
    assert.equal(unseen({ states: new Map([['a', 'completed']]) }), 0)
  })

  it('reports a callback of which nothing came', () => {
    assert.equal(unseen({}), 1)
  })

  it('reports a callback whose last state did not come', () => {
    assert.equal(unseen({ states: new Map([['a', 'running']]) }), 1)
  })

  it('wants nothing of a callback that ended before the listener began, but for what it was told', () => {
    assert.equal(unseen({ sinceMs: 20_001 }), 0)
    assert.equal(unseen({ sinceMs: 20_001, states: new Map([['a', 'running']]) }), 1)
  })

  it('wants nothing if nobody listened to the workspace', () => {
    assert.deepEqual(checkStream([row()], transitions, new Map()), [])
  })
})
