import assert from 'node:assert/strict'
import { found, step } from './evidence.ts'

describe('the checker of claims', () => {
  it('follows a callback that is claimed, given back, claimed by another and finished', () => {
    const transitions = [
      step('pending', 'running', 'x'),
      step('running', 'pending', 'x', { isWorkerAlive: true }),
      step('pending', 'running', 'y'),
      step('running', 'completed', 'y'),
    ]
    assert.deepEqual(found({ transitions }), {})
  })

  it('sees a finished callback change, or go', () => {
    const finished = [step('pending', 'running', 'x'), step('running', 'completed', 'x')]
    for (const to of ['completed', 'pending', 'deleted'])
      assert.deepEqual(found({ transitions: [...finished, step('completed', to, 'x')] }), { rewritten: 1 })
  })

  it('sees a callback finished by somebody who had lost it, or that nobody had claimed', () => {
    const lost = [step('pending', 'running', 'x'), step('running', 'pending', 'y')]
    assert.deepEqual(found({ transitions: [...lost, step('pending', 'completed', 'x')] }), { usurped: 1 })
    assert.deepEqual(found({ transitions: [...lost, step('pending', 'running', 'y'), step('running', 'completed', 'x')] }), {
      usurped: 1,
    })
  })

  it('sees a callback taken from a worker that lives, and lets it be taken from one that may be dead', () => {
    const claimed = step('pending', 'running', 'x')
    assert.deepEqual(found({ transitions: [claimed, step('running', 'pending', 'y', { isWorkerAlive: true })] }), { stolen: 1 })
    assert.deepEqual(found({ transitions: [claimed, step('running', 'pending', 'y')] }), {})
  })
})
