import assert from 'node:assert/strict'
import type { Outcome } from '../outcome.ts'
import { Recall } from '../recall.ts'

const STORED: Outcome = { kind: 'stored', answer: { online: true } }

describe('Recall', () => {
  it('lets fetches end by themselves until it is called', async () => {
    const recall = new Recall()
    assert.equal(await recall.orEarlier(Promise.resolve(STORED)), STORED)
    assert.equal(recall.isCalled, false)
  })

  it('ends fetches that would last, uncharged, those begun later too', async () => {
    const recall = new Recall()
    const early = recall.orEarlier(new Promise(() => undefined))
    recall.call()
    recall.call()
    const late = recall.orEarlier(new Promise(() => undefined))
    for (const outcome of await Promise.all([early, late]))
      assert.deepEqual(outcome, { kind: 'pending', reason: 'interrupted', isCharged: false })
    assert.equal(recall.isCalled, true)
  })
})
