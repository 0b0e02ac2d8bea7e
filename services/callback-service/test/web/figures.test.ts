import assert from 'node:assert/strict'
import type { Activity, ActivityNow } from '../../web/activity-types.ts'
import { figuresOfAll, figuresOfReplica } from '../../web/figures.ts'
import { ActivityRows } from '../../web/rows.ts'

describe('figures', () => {
  it('shows a rate as the mean of the last 10 s', () => {
    const accepted = figure('Accepted', { accepted: [100, ...Array(9).fill(0), 5] })
    assert.deepEqual(accepted, { label: 'Accepted', value: '0.5 /s', note: 'mean of 10 s' })
  })

  it('says how much of what was accepted went to the spool', () => {
    assert.equal(figure('Accepted', { accepted: [4], spooled: [3] })?.note, '3 /s to the spool')
  })

  it('marks failed callbacks, and only when there are any', () => {
    assert.deepEqual([figure('Failed', { failed: [0] })?.state, figure('Failed', { failed: [1] })?.state], [undefined, 'bad'])
  })

  it('shows how many fetches are in flight of how many', () => {
    const { value, note } = figure('Fetches in flight', { fetches_in_flight: [37], fetches_waiting: [12] }) ?? {}
    assert.deepEqual([value, note], ['37 of 100', '12 wait'])
  })

  it('shows the highest p99 of the last 10 s', () => {
    assert.equal(figure('Accept p99', { accept_p99_ms: [900, ...Array(8).fill(2), 40, 3] })?.value, '40 ms')
  })

  it('keeps the last value of the database while Postgres is away, with its age', () => {
    const backlog = figure('Backlog', { backlog: [1234, ...Array(12).fill(null)] })
    assert.deepEqual(backlog, { label: 'Backlog', value: '1,234', note: '12 s ago' })
  })

  it('says that nobody knows when a callback is done', () => {
    assert.equal(figure('Done in about', { eta_ms: [5000, ...Array(12).fill(null)] })?.value, 'unknown')
  })

  it('shows nothing where nothing has come yet', () => {
    const shown = figures({ accepted: [null] }).map(({ label, value }) => `${label}: ${value}`)
    for (const empty of ['Accepted: –', 'Accept p99: –', 'Backlog: –', 'Done in about: unknown', 'Fetches in flight: – of 100']) {
      assert.ok(shown.includes(empty), `${empty} in ${shown}`)
    }
  })

  it('warns of callbacks in the spool, and of those that are set aside', () => {
    const spoolOf = (callbacks: number, set_aside: number) =>
      figures({ accepted: [1] }, { spool: { callbacks, set_aside, bytes: 2048 } }).find(({ label }) => label === 'Spool')
    assert.deepEqual(
      [spoolOf(0, 0), spoolOf(5, 0), spoolOf(0, 2)],
      [
        { label: 'Spool', value: '0', note: '2 KiB' },
        { label: 'Spool', value: '5', note: '2 KiB', state: 'warn' },
        { label: 'Spool', value: '0', note: '2 set aside', state: 'warn' },
      ],
    )
  })

  it('says how many client services are not well, and what the first has', () => {
    const client_services = [{ workspace: 'shop', state: 'half_open', until: null }] as const
    const shown = figures({ accepted: [1] }, { client_services, client_services_not_well: 3 }).at(-1)
    assert.deepEqual(shown, { label: 'Client services', value: '3 not well', note: 'shop: breaker half open', state: 'bad' })
  })
})

type Columns = Readonly<Record<string, readonly (number | null)[]>>

function figure(label: string, columns: Columns) {
  return figures(columns).find(figure => figure.label === label)
}

function figures(columns: Columns, now: Partial<ActivityNow> = {}) {
  const count = Object.values(columns)[0]?.length ?? 0
  const answer = {
    from_start: true,
    interval_ms: 1000,
    max_rows: 900,
    columns: { at_ms: Array.from({ length: count }, (_, row) => 1000 * (row + 1)), ...columns },
    now: { replicas: 3, fetch_concurrency: 100, client_services: [], client_services_not_well: 0, spool: null, ...now },
  } as unknown as Activity
  const rows = new ActivityRows()
  rows.add(answer)
  return [...figuresOfAll(rows, answer), ...figuresOfReplica(rows, answer)]
}
