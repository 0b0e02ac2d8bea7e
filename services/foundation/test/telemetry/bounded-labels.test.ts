import assert from 'node:assert/strict'
import { boundedLabels } from '../../telemetry/bounded-labels.ts'

describe('boundedLabels', () => {
  it('gives the first values a label of their own, and all later ones another', () => {
    const label = boundedLabels(2, [])
    assert.deepEqual(['a', 'b', 'a', 'c', 'd', 'b'].map(label), ['a', 'b', 'a', 'other', 'other', 'b'])
  })

  it('keeps the values of always apart, however late they come, and does not count them', () => {
    const label = boundedLabels(2, ['default'])
    assert.deepEqual(['a', 'b', 'c', 'default'].map(label), ['a', 'b', 'other', 'default'])
  })
})
