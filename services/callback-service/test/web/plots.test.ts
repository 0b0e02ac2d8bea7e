import assert from 'node:assert/strict'
import type { ActivityColumns } from '../../web/activity-types.ts'
import { inWords, onAxis, PLOTS, valuesOf, withUnit } from '../../web/plots.ts'
import { ActivityRows } from '../../web/rows.ts'

describe('plots', () => {
  it('shows each column once', () => {
    const columns = PLOTS.flatMap(({ lines }) => lines.map(({ column }) => column))
    assert.equal(new Set(columns).size, columns.length)
  })

  it('interrupts a line where no sample was taken', () => {
    const rows = rowsOf({ backlog: [1, null, 3] })
    assert.deepEqual(valuesOf({ name: 'unfinished', column: 'backlog', shape: 'exact' }, rows), [1, null, 3])
  })

  it('crosses seconds without a request in the times to accept, but no second without a sample', () => {
    const rows = rowsOf({ accepted: [1, 0, 1, null, 1], accept_p99_ms: [5, null, 6, null, 7] })
    assert.deepEqual(valuesOf({ name: 'p99', column: 'accept_p99_ms', shape: 'sparse' }, rows), [5, undefined, 6, null, 7])
  })

  it('says in words what a line shows', () => {
    assert.equal(inWords('p99', [3, null, 1200, undefined, 8], 'time'), 'p99: newest 8 ms, lowest 3 ms, highest 1.2 s.')
    assert.equal(inWords('accepted', [0, 12.5], 'rate'), 'accepted: newest 12.5 /s, lowest 0 /s, highest 12.5 /s.')
    assert.equal(inWords('p99', [null, undefined], 'time'), 'p99: no value in the last 15 minutes.')
  })

  it('writes values with their unit, and shortly on an axis', () => {
    assert.deepEqual([withUnit(1234, 'count'), withUnit(2.5, 'rate'), withUnit(2500, 'time')], ['1,234', '2.5 /s', '2.5 s'])
    assert.deepEqual([onAxis(20_000, 'count'), onAxis(2, 'rate')], ['20K', '2'])
    assert.deepEqual(
      [2000, 1500, 120_000, 7_200_000].map(ms => onAxis(ms, 'time')),
      ['2 s', '1.5 s', '2 min', '2 h'],
    )
  })
})

function rowsOf(columns: Readonly<Record<string, readonly (number | null)[]>>): ActivityRows {
  const at_ms = Object.values(columns)[0]?.map((_, row) => 1000 * (row + 1))
  const rows = new ActivityRows()
  rows.add({ columns: { at_ms, ...columns } as unknown as ActivityColumns, from_start: true, interval_ms: 1000, max_rows: 900 })
  return rows
}
