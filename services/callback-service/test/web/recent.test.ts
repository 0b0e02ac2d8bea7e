import assert from 'node:assert/strict'
import { bridged, highest, meanOf, newest, trailingMean } from '../../web/recent.ts'

describe('recent values', () => {
  it('finds the newest value and how old it is', () => {
    assert.deepEqual(newest([3, 4, null, null]), { value: 4, rowsAgo: 2 })
    assert.equal(newest([null]), undefined)
  })

  it('takes the mean of the rows that have a value', () => {
    assert.equal(meanOf([100, 2, null, 4], 3), 3)
    assert.equal(meanOf([100, null], 1), undefined)
  })

  it('takes the highest of the last rows, or the newest before them', () => {
    assert.deepEqual(highest([9, 2, 5, null], 3), { value: 5, rowsAgo: 0 })
    assert.deepEqual(highest([9, 2, null, null], 2), { value: 2, rowsAgo: 2 })
  })

  it('smooths a column and leaves its gaps', () => {
    assert.deepEqual(trailingMean([0, 0, 6, null, 3, 3], 3), [null, 0, 2, null, 4.5, 3])
  })

  it('shows no mean of a single burst after a gap', () => {
    assert.deepEqual(trailingMean([null, null, null, null, 8, 0], 4), [null, null, null, null, null, 4])
  })

  it('comes back to exactly zero', () => {
    assert.deepEqual(trailingMean([0.1, 0.2, 0.3, 0, 0], 2).at(-1), 0)
  })

  it('lets a line cross a short silence, but no second without a sample and no long silence', () => {
    const values = [1, null, 2, null, null, null, 3, null, 4, null]
    const sampled = [0, 0, 0, 0, 0, 0, 0, null, 0, 0]
    assert.deepEqual(bridged(values, sampled, 2), [1, undefined, 2, null, null, null, 3, null, 4, null])
  })

  it('crosses no gap at the ends', () => {
    assert.deepEqual(bridged([null, 1, null], [0, 0, 0], 5), [null, 1, null])
  })
})
