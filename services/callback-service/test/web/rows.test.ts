import assert from 'node:assert/strict'
import type { ActivityColumns } from '../../web/activity-types.ts'
import { ActivityRows } from '../../web/rows.ts'

describe('ActivityRows', () => {
  it('puts later rows after those that it has', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000, 2000], accepted: [5, 6], isFromStart: true }))
    rows.add(answer({ at: [3000], accepted: [7] }))
    assert.deepEqual(
      [rows.at, rows.column('accepted')],
      [
        [1000, 2000, 3000],
        [5, 6, 7],
      ],
    )
  })

  it('adds no row twice', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000, 2000], accepted: [5, 6], isFromStart: true }))
    rows.add(answer({ at: [2000, 3000], accepted: [6, 7] }))
    assert.deepEqual(
      [rows.at, rows.column('accepted')],
      [
        [1000, 2000, 3000],
        [5, 6, 7],
      ],
    )
  })

  it('keeps the rows of the process before a restart, with a gap after them', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000, 2000], accepted: [5, 6], isFromStart: true }))
    rows.add(answer({ at: [9000, 10_000], accepted: [1, 2], isFromStart: true }))
    assert.deepEqual(
      [rows.at, rows.column('accepted')],
      [
        [1000, 2000, 3000, 9000, 10_000],
        [5, 6, null, 1, 2],
      ],
    )
  })

  it('replaces its rows by those of the same time when the process tells all again', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000, 2000, 3000], accepted: [5, 6, 7], isFromStart: true }))
    rows.add(answer({ at: [2000, 3000], accepted: [8, 9], isFromStart: true }))
    assert.deepEqual(
      [rows.at, rows.column('accepted')],
      [
        [1000, 2000, 3000],
        [5, 8, 9],
      ],
    )
  })

  it('stays in order when the clock of the new process is behind', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [8000, 9000], accepted: [5, 6], isFromStart: true }))
    rows.add(answer({ at: [4000], accepted: [1], isFromStart: true }))
    assert.deepEqual([rows.at, rows.column('accepted')], [[4000], [1]])
  })

  it('has as many rows after a day as after a quarter of an hour', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000], accepted: [0], isFromStart: true, maxRows: 10 }))
    for (let second = 2; second <= 1000; second++) rows.add(answer({ at: [second * 1000], accepted: [second], maxRows: 10 }))
    assert.deepEqual([rows.length, rows.at[0], rows.column('accepted')[0]], [10, 991_000, 991])
  })

  it('forgets the rows before a pause that was longer than all that it shows', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000], accepted: [5], isFromStart: true, maxRows: 10 }))
    rows.add(answer({ at: [86_400_000], accepted: [6], isFromStart: true, maxRows: 10 }))
    assert.deepEqual([rows.at, rows.column('accepted')], [[86_400_000], [6]])
  })

  it('gives nulls for a column that the service does not know', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000, 2000], accepted: [5, 6], isFromStart: true }))
    assert.deepEqual(rows.column('backlog'), [null, null])
  })

  it('fills a column with nulls for the time before an upgrade brought it', () => {
    const rows = new ActivityRows()
    rows.add(answer({ at: [1000], accepted: [5], isFromStart: true }))
    rows.add({ ...answer({ at: [2000], accepted: [6], isFromStart: true }), columns: columns({ at_ms: [2000], backlog: [3] }) })
    assert.deepEqual(
      [rows.column('accepted'), rows.column('backlog')],
      [
        [5, null],
        [null, 3],
      ],
    )
  })
})

function answer(of: { at: number[]; accepted: number[]; isFromStart?: boolean; maxRows?: number }) {
  return {
    columns: columns({ at_ms: of.at, accepted: of.accepted }),
    from_start: of.isFromStart ?? false,
    interval_ms: 1000,
    max_rows: of.maxRows ?? 900,
  }
}

/** An answer of a service may lack columns that this page knows. */
function columns(some: Partial<ActivityColumns>): ActivityColumns {
  return some as ActivityColumns
}
