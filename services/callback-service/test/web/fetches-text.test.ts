import assert from 'node:assert/strict'
import type { Fetches, FetchOfObject } from '../../web/activity-types.ts'
import { fetchesText } from '../../web/fetches-text.ts'
import type { TimelineEvent } from '../../web/timeline.ts'

const at = '2026-11-22T03:00:00.000Z'
const FETCH: FetchOfObject = {
  ...{ kind: 'Object', id: '7', href: '/v1/objects/7', attempt: 1, started_at: at },
  ...{ waited_ms: 0, duration_ms: 100, result: 'stored', shared: false },
}
const HERE: Fetches = {
  ...{ kind: 'Fetches', id: 'a', href: '/v1/callbacks/a/fetches', callback: { kind: 'Callback', id: 'a', href: '/v1/callbacks/a' } },
  ...{ replica: { host: 'one', pid: 11, worker: 3 }, is_complete: true, fetches: [FETCH] },
}
const attempt = (number: number, worker: number): TimelineEvent[] =>
  ['claimed', 'attempt_ended'].map(event => ({ event, at, attempt: number, worker: { number: worker, host: 'two', pid: 22 } }))

describe('fetchesText', () => {
  it('says that these are all fetches of the round if all attempts of it ran here', () => {
    assert.equal(fetchesText(HERE, attempt(1, 3)), 'All fetches of this round were made by this replica (one, process 11).')
    assert.match(fetchesText(HERE, [...attempt(1, 4), { event: 'retried', at }, ...attempt(1, 3)]), /^All fetches of this round/)
  })

  it('does not say so of a callback that another replica gave back, although its attempts have no hole', () => {
    assert.equal(
      fetchesText(HERE, [...attempt(1, 4), ...attempt(1, 3)]),
      'These fetches were made by this replica (one, process 11). It does not know all of them. Attempts ran on worker 4 (two, process 22).',
    )
  })

  it('does not take an attempt of the round before for one of this round, which another replica has made', () => {
    const events = [...attempt(1, 3), { event: 'retried', at }, ...attempt(1, 4), ...attempt(2, 3)]
    assert.match(fetchesText(HERE, events), /It does not know all of them\. Attempts ran on worker 4/)
  })

  it('says that agents made the fetches, whose fetches nobody sees', () => {
    const events = [{ event: 'claimed', at, attempt: 1, agent: 'plant-7' }]
    assert.equal(
      fetchesText({ ...HERE, fetches: [] }, events),
      'The fetches of this round were made by plant-7. The page does not see fetches of agents.',
    )
    assert.match(
      fetchesText(HERE, [...events, { event: 'retried', at }, ...attempt(1, 3)]),
      /^All fetches of this round were made by this replica/,
    )
  })

  it('says where attempts ran of which this replica remembers nothing, and when nobody may know', () => {
    assert.match(
      fetchesText({ ...HERE, is_complete: false, fetches: [] }, attempt(1, 4)),
      /remembers no fetches .* Attempts ran on worker 4 \(two, process 22\)\.$/,
    )
    assert.match(fetchesText(undefined, []), /^Single fetches are not shown/)
  })
})
