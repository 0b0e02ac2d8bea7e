import assert from 'node:assert/strict'
import { COLUMNS, type Sample } from '../../../domain/activity/sample.ts'
import { Samples } from '../../../domain/activity/samples.ts'

const START = 1_700_000_000_000

/** A sample whose backlog is this number. */
function sample(backlog: number): Sample {
  return { ...(Object.fromEntries(COLUMNS.map(name => [name, 0])) as Sample), backlog }
}

function setup(max = 900) {
  const samples = new Samples({ max, intervalMs: 1000 })
  let count = 0
  return {
    samples,
    add: (clockMs: number, elapsedMs = 1000) => samples.add(sample(++count), { clockMs, elapsedMs }),
    /** The rows after a number: their backlog, or `gap`. */
    rows: (number?: number) => samples.after(number).rows.map(row => row.sample?.backlog ?? 'gap'),
    times: () => samples.after(undefined).rows.map(({ atMs }) => atMs - START),
  }
}

describe('samples', () => {
  it('keep the newest, oldest first', () => {
    const { add, rows } = setup(3)
    for (let i = 0; i < 5; i += 1) add(START + i * 1000)
    assert.deepEqual(rows(), [3, 4, 5])
  })

  it('give a reader only what it does not have', () => {
    const { samples, add, rows } = setup(3)
    for (let i = 0; i < 5; i += 1) add(START + i * 1000)
    assert.deepEqual([rows(4), samples.after(4).isFromStart], [[5], false])
    assert.deepEqual([rows(5), samples.after(5).isFromStart], [[], false])
    assert.deepEqual([rows(2), samples.after(2).isFromStart], [[3, 4, 5], false])
  })

  it('give all to a reader that missed some, that has none, or that is ahead', () => {
    const { samples, add } = setup(3)
    for (let i = 0; i < 5; i += 1) add(START + i * 1000)
    for (const number of [1, undefined, 6]) {
      const { rows, isFromStart } = samples.after(number)
      assert.deepEqual([rows.length, isFromStart], [3, true], String(number))
    }
  })

  it('give nothing before the first sample', () => {
    const { samples } = setup()
    assert.deepEqual(samples.after(undefined), { rows: [], isFromStart: true })
    assert.deepEqual(samples.after(0), { rows: [], isFromStart: false })
  })

  it('leave one gap where no sample was taken', () => {
    const { add, rows, times } = setup()
    add(START)
    add(START + 1000)
    add(START + 61_000, 60_000)
    assert.deepEqual(rows(), [1, 2, 'gap', 3])
    assert.deepEqual(times(), [0, 1000, 2000, 61_000])
  })

  it('leave no gap for a sample that is a little late', () => {
    const { add, rows } = setup()
    add(START)
    add(START + 1400, 1400)
    assert.deepEqual(rows(), [1, 2])
  })

  it('stay in their order when the clock goes back, and say by how much it is behind', () => {
    const { samples, add, rows, times } = setup()
    add(START)
    add(START + 1000)
    add(START - 3_598_000)
    add(START - 3_597_000)
    assert.deepEqual(rows(), [1, 2, 3, 4])
    assert.deepEqual(times(), [0, 1000, 2000, 3000])
    assert.equal(samples.clockOffsetMs, -3_600_000)
  })

  it('follow a clock that is a little slow', () => {
    const { samples, add, times } = setup()
    for (let i = 0; i < 4; i += 1) add(START + i * 996)
    assert.deepEqual(times(), [0, 996, 1992, 2988])
    assert.equal(samples.clockOffsetMs, 0)
  })

  it('go with the clock when it goes forward, after a gap', () => {
    const { samples, add, rows, times } = setup()
    add(START)
    add(START + 3_601_000)
    add(START + 3_602_000)
    assert.deepEqual(rows(), [1, 'gap', 2, 3])
    assert.deepEqual(times(), [0, 1000, 3_601_000, 3_602_000])
    assert.equal(samples.clockOffsetMs, 0)
  })

  it('follow the clock again when it has caught up', () => {
    const { samples, add } = setup()
    add(START)
    add(START - 5000)
    assert.equal(samples.clockOffsetMs, -6000)
    add(START + 2000)
    assert.equal(samples.clockOffsetMs, 0)
  })

  it('never have the same time twice', () => {
    const { add, times } = setup()
    add(START)
    add(START, 0.2)
    assert.deepEqual(times(), [0, 1])
  })
})
