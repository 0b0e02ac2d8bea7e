import assert from 'node:assert/strict'
import type { FetchOfObject } from '../../web/activity-types.ts'
import { barsOf, type TimelineEvent } from '../../web/timeline.ts'
import { fetchBars, mostTelling } from '../../web/timeline-fetches.ts'

const START = Date.UTC(2026, 10, 22, 3)
const at = (ms: number) => new Date(START + ms).toISOString()
const event = (name: string, ms: number, details: Partial<TimelineEvent> = {}): TimelineEvent => ({ event: name, at: at(ms), ...details })
const fetchOf = (id: string, startMs: number, details: Partial<FetchOfObject> = {}): FetchOfObject => ({
  kind: 'Object',
  id,
  href: `/v1/objects/${id}`,
  attempt: 1,
  started_at: at(startMs),
  waited_ms: 0,
  duration_ms: 100,
  result: 'stored',
  shared: false,
  ...details,
})
const shapeOf = (events: readonly TimelineEvent[], fetches: readonly FetchOfObject[] = [], now = 10_000) =>
  barsOf(events, fetches, START + now).map(({ kind, from, to, isOpen, fetches: made }) =>
    [kind, from - START, to - START, ...(isOpen ? ['open'] : []), ...made.map(({ id }) => id)].join(' '),
  )

describe('barsOf', () => {
  it('draws waits and attempts between the events', () => {
    const shape = shapeOf([
      event('accepted', 0),
      event('claimed', 10, { attempt: 1 }),
      event('attempt_ended', 500, { attempt: 1, state: 'pending', counts: { stored: 1, 'pending:http_503': 1 } }),
      event('claimed', 1500, { attempt: 2 }),
      event('attempt_ended', 1700, { attempt: 2, state: 'completed', counts: { stored: 1 } }),
    ])
    assert.deepEqual(shape, ['event 0 0', 'wait 0 10', 'attempt 10 500', 'wait 500 1500', 'attempt 1500 1700'])
  })

  it('leaves open what still goes on', () => {
    assert.deepEqual(shapeOf([event('accepted', 0)]), ['event 0 0', 'wait 0 10000 open'])
    assert.deepEqual(shapeOf([event('accepted', 0), event('claimed', 5, { attempt: 1 })]), [
      'event 0 0',
      'wait 0 5',
      'attempt 5 10000 open',
    ])
  })

  it('draws the time in which a callback is paused as such', () => {
    const shape = shapeOf([
      event('accepted', 0),
      event('paused', 10),
      event('prioritised', 20),
      event('resumed', 30),
      event('cancelled', 40),
    ])
    assert.deepEqual(shape, [
      'event 0 0',
      'wait 0 10',
      'event 10 10',
      'paused 10 30',
      'event 20 20',
      'event 30 30',
      'wait 30 40',
      'event 40 40',
    ])
  })

  it('does not end an attempt because somebody pauses the callback meanwhile', () => {
    const shape = shapeOf([
      event('accepted', 0),
      event('claimed', 1, { attempt: 1 }),
      event('paused', 5),
      event('attempt_ended', 9, { attempt: 1, state: 'paused' }),
    ])
    assert.deepEqual(shape, ['event 0 0', 'wait 0 1', 'attempt 1 9', 'event 5 5', 'paused 9 10000 open'])
  })

  it('waits again after a worker was lost', () => {
    const shape = shapeOf([event('spooled', 0), event('drained', 3), event('claimed', 5, { attempt: 1 }), event('taken_over', 9)])
    assert.deepEqual(shape, ['event 0 0', 'wait 0 5', 'event 3 3', 'attempt 5 9', 'wait 9 10000 open'])
  })

  it('puts each fetch into its attempt, also after a retry, when the numbers begin again', () => {
    const shape = shapeOf(
      [
        event('accepted', 0),
        event('claimed', 10, { attempt: 1 }),
        event('attempt_ended', 500, { attempt: 1, state: 'failed' }),
        event('retried', 5000),
        event('claimed', 5010, { attempt: 1 }),
        event('attempt_ended', 5500, { attempt: 1, state: 'completed' }),
      ],
      [fetchOf('8', 5020), fetchOf('7', 20)],
    )
    assert.deepEqual(shape[2], 'attempt 10 500 7')
    assert.deepEqual(shape[5], 'attempt 5010 5500 8')
  })

  it('puts a fetch into the attempt during which it began, although a retry came within the same second', () => {
    const shape = shapeOf(
      [
        event('claimed', 0, { attempt: 1 }),
        event('attempt_ended', 300, { attempt: 1, state: 'failed' }),
        event('retried', 400),
        event('claimed', 500, { attempt: 1 }),
      ],
      [fetchOf('7', 10), fetchOf('8', 510)],
    )
    assert.deepEqual([shape[0], shape[3]], ['attempt 0 300 7', 'attempt 500 10000 open 8'])
  })

  it('gives an attempt its fetches although the clock of its worker is ahead by less than a second', () => {
    const shape = shapeOf(
      [
        event('claimed', 10, { attempt: 1 }),
        event('attempt_ended', 500, { attempt: 1, state: 'failed' }),
        event('retried', 5000),
        event('claimed', 5900, { attempt: 1 }),
      ],
      [fetchOf('8', 5020)],
    )
    assert.deepEqual(shape.at(-1), 'attempt 5900 10000 open 8')
  })

  it('lets an attempt that goes on begin between the event before it and now, whatever the clock of its worker says', () => {
    for (const [hourMs, from] of [
      [3_600_000, 10_000],
      [-3_600_000, 0],
    ] as const) {
      const shape = shapeOf([event('accepted', 0), event('claimed', hourMs, { attempt: 1 })])
      assert.deepEqual(shape, ['event 0 0', `wait 0 ${from}`, `attempt ${from} 10000 open`])
    }
  })

  it('draws no time that runs backwards, when the clocks of two machines differ', () => {
    const bars = barsOf([event('accepted', 0), event('claimed', -50, { attempt: 1 }), event('attempt_ended', -60)], [], START)
    for (const { from, to } of bars) assert.ok(to >= from)
  })

  it('marks an attempt in which objects failed, and says why', () => {
    const counts = { stored: 3, not_found: 1, 'pending:http_503': 2 }
    const bars = barsOf([event('claimed', 0, { attempt: 1 }), event('attempt_ended', 9, { state: 'pending', counts })], [], START)
    assert.deepEqual([bars[0]?.isFailed, bars[0]?.result], [true, '3 stored, 1 not found, 2 pending (http_503)'])
  })

  it('passes on markup in names as it is', () => {
    const worker = { number: 1, host: '<b>host</b>', pid: 7 }
    const bars = barsOf([event('claimed', 0, { attempt: 1, worker }), event('<i>new</i>', 1, { by: '<script>' })], [], START)
    assert.equal(bars[0]?.label, 'Attempt 1, worker 1 on <b>host</b>, process 7')
    assert.equal(bars[1]?.label, '<i>new</i>: by <script>')
  })
})

describe('the bars of a callback that agents work on', () => {
  const held = (ending: string, details: Partial<TimelineEvent> = {}) =>
    barsOf(
      [
        event('accepted', 0),
        event('claimed', 5, { attempt: 1, agent: 'plant-7' }),
        event(ending, 9, { attempt: 1, agent: 'plant-7', state: 'pending', counts: { stored: 2 }, ...details }),
      ],
      [],
      START + 20,
    )

  for (const [ending, result, isFailed] of [
    ['attempt_ended', '2 stored', false],
    ['given_back', 'given back by its agent, 2 stored', false],
    ['lapsed', 'its lease lapsed, 2 stored', true],
    ['recalled', 'somebody wanted it back, 2 stored', false],
    ['taken_away', 'taken away from its agent, 2 stored', false],
  ] as const) {
    it(`name the agent, and how its lease ended: ${ending}`, () => {
      const [, , attempt, wait] = held(ending)
      assert.deepEqual([attempt?.label, attempt?.result, attempt?.isFailed], ['Attempt 1, agent plant-7', result, isFailed])
      assert.equal(wait?.kind, 'wait')
    })
  }

  it('say to whom it was assigned, and which labels it needs', () => {
    const bars = barsOf([event('assigned', 1, { agent: 'plant-7', by: 'api' }), event('labelled', 2, { agent_labels: ['eu'] })], [], START)
    assert.deepEqual(
      bars.map(({ label }) => label),
      ['Assigned: agent plant-7, by api', 'Labelled: labels eu'],
    )
  })
})

describe('fetchBars', () => {
  it('orders fetches by their start, and keeps exact ids', () => {
    const bars = fetchBars([fetchOf('9007199254740993', 30), fetchOf('2', 10)], START)
    assert.deepEqual(
      bars.map(({ id }) => id),
      ['2', '9007199254740993'],
    )
  })

  it('marks failures and the slowest', () => {
    const bars = fetchBars(
      [10, 20, 900, 40, 50, 800, 700].map((ms, index) => fetchOf(String(index), index, { duration_ms: ms })),
      START,
    )
    assert.deepEqual(
      bars.filter(({ isSlow }) => isSlow).map(({ id }) => id),
      ['2', '5', '6'],
    )
    const alike = [500, 510, 520, 530].map((ms, index) => fetchOf(String(index), index, { duration_ms: ms }))
    assert.ok(fetchBars(alike, START).every(({ isSlow }) => !isSlow))
    assert.equal(fetchBars([fetchOf('1', 0, { result: 'http_503' })], START)[0]?.isFailed, true)
    assert.equal(fetchBars([fetchOf('1', 0, { result: 'not_found' })], START)[0]?.isFailed, false)
  })

  it('lets a fetch that is under way reach up to now', () => {
    const [bar] = fetchBars([fetchOf('1', 0, { duration_ms: null, result: null, waited_ms: null })], START + 70)
    assert.deepEqual([bar?.to, bar?.isOpen, bar?.isFailed, bar?.sentAt], [START + 70, true, false, undefined])
  })

  it('chooses the failed ones and the slowest of very many', () => {
    const many = Array.from({ length: 200 }, (_, n) =>
      fetchOf(String(n), n, { duration_ms: n === 150 ? 5000 : 10 + n / 1000, result: n === 199 ? 'timeout' : 'stored' }),
    )
    const ids = mostTelling(fetchBars(many, START), 10).map(({ id }) => id)
    assert.equal(ids.length, 10)
    assert.ok(ids.includes('150') && ids.includes('199') && ids.includes('0'))
  })
})
