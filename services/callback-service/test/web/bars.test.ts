import assert from 'node:assert/strict'
import { BASE, barsOf, HEIGHT, WIDTH } from '../../web/bars.ts'

describe('the bars of a sparkline', () => {
  /** Where each bar begins and how high it is; a bar upwards has a negative height. */
  const barsIn = (path: string) =>
    [...path.matchAll(/M([\d.]+) ([\d.]+)v(-?[\d.]+)h([\d.]+)/g)].map(([, x, , height]) => [Number(x), Number(height)])

  it('go up from the base line, the highest as far as there is room', () => {
    const { up, most } = barsOf([1, 0, 4], [0, 0, 0])
    assert.deepEqual(
      [barsIn(up), most],
      [
        [
          [1, -BASE / 4],
          [81, -BASE],
        ],
        4,
      ],
    )
  })

  it('go down for the other series, with its own scale', () => {
    assert.deepEqual(barsIn(barsOf([1000, 1000], [0, 2]).down), [[61, HEIGHT - BASE]])
  })

  it('can be seen however small they are, and are not there for 0', () => {
    assert.deepEqual(
      barsIn(barsOf([1, 0, 1_000_000], [0, 0, 0]).up).map(([, height]) => height),
      [-1.5, -BASE],
    )
  })

  it('are marks at the base line where nothing is known', () => {
    const { up, unknown } = barsOf([null, 3], [null, 0])
    assert.deepEqual([barsIn(up).length, barsIn(unknown)], [1, [[1, -1.5]]])
  })

  it('stay inside the drawing, and every path is made of numbers', () => {
    for (const values of [[], [0], [null], [5e9], Array(15).fill(1)]) {
      const { up, down, unknown } = barsOf(values, values)
      for (const [x = 0] of [...barsIn(up), ...barsIn(down)]) assert.ok(x >= 0 && x < WIDTH)
      assert.doesNotMatch(up + down + unknown, /NaN|Infinity/)
    }
  })
})
