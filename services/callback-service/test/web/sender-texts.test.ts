import assert from 'node:assert/strict'
import { incompleteText, lastSeenText, limitText, minutesText, usualText } from '../../web/sender-texts.ts'
import type { LimitUse, WorkspaceTraffic } from '../../web/traffic.ts'

const AT = '2026-01-01T12:00:00.000Z'
const NOW = Date.parse(AT) + 12_000

function sender(changes: Partial<WorkspaceTraffic> = {}): WorkspaceTraffic {
  return {
    workspace: 'shop',
    received: [],
    failed: [],
    received_total: 0,
    failed_total: 0,
    last_received_at: AT,
    last_received_precision: 'exact',
    usual_gap_seconds: null,
    is_silent: false,
    unfinished: 0,
    paused: 0,
    fetcher: 'service',
    is_paused: false,
    is_archived: false,
    limits: [],
    ...changes,
  }
}

describe('the texts about a sender', () => {
  for (const [precision, at, expected] of [
    ['exact', AT, '12 s ago'],
    ['hour', AT, 'at most 12 s ago'],
    ['none', null, 'nothing remembered'],
    ['unknown', null, 'not found so far'],
  ] as const) {
    it(`say "${expected}" of a last receipt whose precision is ${precision}`, () => {
      assert.equal(lastSeenText(sender({ last_received_at: at, last_received_precision: precision }), NOW), expected)
    })
  }

  it('say what is usual, and nothing if nothing is', () => {
    assert.deepEqual(
      [0.02, 1, 90, null].map(usual_gap_seconds => usualText(sender({ usual_gap_seconds }))),
      ['usually 50 a second', 'usually one every 1 s', 'usually one every 1 min 30 s', ''],
    )
  })

  it('say in words what the bars show', () => {
    const text = minutesText(sender({ received: [null, 1200, 0], failed: [null, 2, 0], received_total: 1200, failed_total: 2 }))
    assert.equal(
      text,
      '1,200 received, at most 1,200 in a minute; 1,200 in the last whole minute; 2 failed in 1 of the minutes; minutes not read yet: 1',
    )
  })

  const limit = (changes: Partial<LimitUse>): LimitUse => ({
    name: 'active_requests',
    limit: 10,
    allowed: 5,
    used: 1,
    share: 0.2,
    ...changes,
  })

  it('say how much of a limit is used, and mark a near one in words', () => {
    const marks = [0.79, 0.8, 0.99, 1, 1.2, null].map(share => limitText(limit({ share })).mark)
    assert.deepEqual(marks, ['', 'near', 'near', 'reached', 'reached', ''])
    assert.equal(limitText(limit({})).use, '1 of 5')
    assert.equal(limitText(limit({ used: null })).use, 'unknown of 5')
  })

  it('tell limits of this replica from those of all', () => {
    assert.match(limitText(limit({})).title, /this replica allows 5/)
    assert.match(limitText(limit({ name: 'unfinished_callbacks' })).title, /^Of all replicas/)
  })

  it('say from when on the counts are complete', () => {
    assert.equal(incompleteText({ is_complete: true, complete_from: AT }), '')
    assert.match(incompleteText({ is_complete: false, complete_from: AT }), /complete from \d\d:00:00 on/)
  })
})
