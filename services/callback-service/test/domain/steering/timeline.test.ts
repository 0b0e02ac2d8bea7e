import assert from 'node:assert/strict'
import { type CallbackPast, timelineOf } from '../../../domain/steering/timeline.ts'

const past: CallbackPast = {
  id: 'a',
  state: 'pending',
  receivedAt: new Date(1000),
  isSpooled: false,
  entries: [],
  claim: undefined,
  processes: new Map([[3, { host: 'h', pid: 42 }]]),
}

describe('timelineOf', () => {
  it('begins with the acceptance', () => {
    assert.deepEqual(timelineOf(past), [{ event: 'accepted', at: 1000 }])
  })

  it('shows that a spool took it first', () => {
    const entries = [{ at: 5000, event: 'drained', spooled_at: 1000, host: 'h' }]
    assert.deepEqual(timelineOf({ ...past, isSpooled: true, entries }), [
      { event: 'spooled', at: 1000 },
      { event: 'drained', at: 5000, host: 'h' },
    ])
  })

  it('shows an attempt as its claim and its end, with the process of the worker if it is known', () => {
    const entries = [
      { at: 3000, event: 'attempt_ended', worker: 3, claimed_at: 2000, attempt: 1, state: 'pending', counts: { 'pending:timeout': 1 } },
      { at: 5000, event: 'taken_over', worker: 4, claimed_at: 4000, attempt: 2, state: 'pending', by: 'worker 3' },
    ]
    const worker = { number: 3, host: 'h', pid: 42 }
    assert.deepEqual(timelineOf({ ...past, entries }).slice(1), [
      { event: 'claimed', at: 2000, attempt: 1, worker },
      { event: 'attempt_ended', at: 3000, attempt: 1, state: 'pending', counts: { 'pending:timeout': 1 }, worker },
      { event: 'claimed', at: 4000, attempt: 2, worker: { number: 4 } },
      { event: 'taken_over', at: 5000, attempt: 2, state: 'pending', by: 'worker 3', worker: { number: 4 } },
    ])
  })

  it('ends with the present claim', () => {
    const claim = { worker: 4, at: 9000, attempt: 2 }
    assert.deepEqual(timelineOf({ ...past, claim }).at(-1), { event: 'claimed', at: 9000, attempt: 2, worker: { number: 4 } })
  })

  it('names the agents that had it', () => {
    const entries = [{ at: 3000, event: 'lapsed', agent: 'hall 1', claimed_at: 2000, attempt: 1, state: 'pending' }]
    const claim = { agent: 'hall 2', at: 9000, attempt: 1 }
    assert.deepEqual(timelineOf({ ...past, entries, claim }).slice(1), [
      { event: 'claimed', at: 2000, attempt: 1, agent: 'hall 1' },
      { event: 'lapsed', at: 3000, agent: 'hall 1', attempt: 1, state: 'pending' },
      { event: 'claimed', at: 9000, attempt: 1, agent: 'hall 2' },
    ])
  })
})
