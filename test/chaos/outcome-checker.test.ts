import assert from 'node:assert/strict'
import { found, ok, row, sent, step } from './evidence.ts'
import { OBJECTS } from './objects.ts'

describe('the checker of outcomes', () => {
  const accepted = [sent([ok('a')])]
  const transitions = [step('pending', 'running', 'x'), step('running', 'completed', 'x')]

  it('finds nothing where each object was stored between the sending and the end', () => {
    assert.deepEqual(found({ sent: accepted, rows: [row()], transitions }), {})
  })

  for (const [moment, stored] of [
    ['never', []],
    ['only before the callback came', [5000]],
    ['only after it was finished', [20_001]],
    ['only before and after', [5000, 20_001]],
  ] as const) {
    it(`misses an object of which a finished callback says nothing, and that was stored ${moment}`, () => {
      const stores = new Map<number, readonly number[]>([
        [1, [11_000]],
        [2, stored],
      ])
      assert.deepEqual(found({ sent: accepted, rows: [row()], transitions, stores }), { unaccounted: 1 })
    })
  }

  it('misses the outcome of an object that is still to be fetched, and of no other', () => {
    const unstored = [
      { id: '1', outcome: 'not_found' },
      { id: '2', outcome: 'pending' },
    ]
    assert.deepEqual(found({ sent: accepted, rows: [row({ unstored })], transitions }), { unaccounted: 1 })
  })

  describe('of a callback that failed', () => {
    const failed = (objectIds: readonly number[], reason: string) => ({
      sent: [sent([ok('a')], { objectIds })],
      rows: [row({ state: 'failed', objectIds, unstored: objectIds.map(id => ({ id: String(id), outcome: 'failed', reason })) })],
    })

    it('is content when it names objects that are made to fail', () => {
      assert.deepEqual(found(failed([...OBJECTS.unreliable], 'http_500')), {})
    })

    it('finds no reason where none of its objects is ever singled out', () => {
      assert.deepEqual(found(failed([1, 2], 'http_500')), { unfounded: 1 })
    })

    it('finds no reason in the death of its workers', () => {
      assert.deepEqual(found(failed([...OBJECTS.unreliable], 'worker_lost')), { unfounded: 1 })
    })
  })
})
