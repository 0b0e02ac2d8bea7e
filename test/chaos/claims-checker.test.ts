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

  it('finds a finished callback that changes or disappears', () => {
    const finished = [step('pending', 'running', 'x'), step('running', 'completed', 'x')]
    for (const to of ['completed', 'pending', 'deleted'])
      assert.deepEqual(found({ transitions: [...finished, step('completed', to, 'x')] }), { rewritten: 1 })
  })

  it('finds a callback that is finished by a worker without the claim', () => {
    const lost = [step('pending', 'running', 'x'), step('running', 'pending', 'y')]
    assert.deepEqual(found({ transitions: [...lost, step('pending', 'completed', 'x')] }), { usurped: 1 })
    assert.deepEqual(found({ transitions: [...lost, step('pending', 'running', 'y'), step('running', 'completed', 'x')] }), {
      usurped: 1,
    })
  })

  it('finds a callback that is taken from a living worker, and accepts one taken from a worker that may be dead', () => {
    const claimed = step('pending', 'running', 'x')
    assert.deepEqual(found({ transitions: [claimed, step('running', 'pending', 'y', { isWorkerAlive: true })] }), { stolen: 1 })
    assert.deepEqual(found({ transitions: [claimed, step('running', 'pending', 'y')] }), {})
  })

  it('lets any replica end a lease', () => {
    for (const to of ['pending', 'paused', 'completed', 'failed'])
      assert.deepEqual(found({ transitions: [step('pending', 'running', 'x'), step('running', to, 'y', { wasLeased: true })] }), {})
  })

  it('finds a leased callback that is claimed or leased again before its lease ended', () => {
    const leased = step('pending', 'running', 'x')
    assert.deepEqual(found({ transitions: [leased, step('running', 'running', 'x', { wasLeased: true })] }), { usurped: 1 })
  })

  it('accepts a callback that is paused while it waits or runs', () => {
    for (const from of ['pending', 'running']) assert.deepEqual(found({ transitions: [step(from, 'paused', 'y')] }), {})
  })
})
