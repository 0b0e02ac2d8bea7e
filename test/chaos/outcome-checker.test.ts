import assert from 'node:assert/strict'
import { found, ok, row, sent, step } from './evidence.ts'
import { OBJECTS } from './objects.ts'

describe('the checker of outcomes', () => {
  const accepted = [sent([ok('a')])]
  const transitions = [step('pending', 'running', 'x'), step('running', 'completed', 'x')]

  it('finds nothing if each object was stored between the sending and the end', () => {
    assert.deepEqual(found({ sent: accepted, rows: [row()], transitions }), {})
  })

  for (const [moment, stored] of [
    ['never', []],
    ['only before the callback came', [5000]],
    ['only after it was finished', [20_001]],
    ['only before and after', [5000, 20_001]],
  ] as const) {
    it(`reports an object without an outcome that was stored ${moment}`, () => {
      const stores = new Map<string, readonly number[]>([
        ['default 1', [11_000]],
        ['default 2', stored],
      ])
      assert.deepEqual(found({ sent: accepted, rows: [row()], transitions, stores }), { unaccounted: 1 })
    })
  }

  it('reports an object of a finished callback that is still pending, and no other', () => {
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

    it('accepts the failure if it names objects that are made to fail', () => {
      assert.deepEqual(found(failed([...OBJECTS.unreliable], 'http_500')), {})
    })

    it('calls the failure unfounded if no fault singles out its objects', () => {
      assert.deepEqual(found(failed([1, 2], 'http_500')), { unfounded: 1 })
    })

    it('calls the failure unfounded if only its workers died', () => {
      assert.deepEqual(found(failed([...OBJECTS.unreliable], 'worker_lost')), { unfounded: 1 })
    })
  })
})
