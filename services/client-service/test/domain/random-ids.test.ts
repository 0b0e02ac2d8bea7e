import assert from 'node:assert/strict'
import { randomIds } from '../../domain/random-ids.ts'

const ALMOST_ONE = 1 - Number.EPSILON

describe('randomIds', () => {
  it('may name none', () => {
    assert.deepEqual(
      randomIds({ maxIds: 200, objectCount: 100 }, () => 0),
      [],
    )
  })

  it('names at most maxIds, and may name the last object', () => {
    assert.deepEqual(
      randomIds({ maxIds: 3, objectCount: 100 }, () => ALMOST_ONE),
      [100, 100, 100],
    )
  })

  it('takes the first number for the length and one for each id', () => {
    const numbers = [0.9, 0, 0.5, 0.999]
    assert.deepEqual(
      randomIds({ maxIds: 3, objectCount: 100 }, () => numbers.shift() as number),
      [1, 51, 100],
    )
  })
})
