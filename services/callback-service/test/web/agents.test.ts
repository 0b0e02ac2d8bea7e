import assert from 'node:assert/strict'
import { lastSeenText, leaseText, stateOf, statesText } from '../../web/agents.ts'
import { agent } from './agent-samples.ts'

const NOW = Date.parse('2026-11-22T03:00:12Z')
const HOLDS_TWO = { href: '', size: 2 }

describe('the state of an agent', () => {
  for (const [state, changes] of [
    ['working', { callbacks: HOLDS_TWO }],
    ['waiting', {}],
    ['silent', { alive: false, callbacks: HOLDS_TWO }],
    ['new', { alive: false, last_seen_at: null }],
    ['archived', { alive: true, callbacks: HOLDS_TWO, archived_at: '2026-11-22T02:30:00Z' }],
  ] as const) {
    it(`is ${state}`, () => {
      assert.equal(stateOf(agent(changes)), state)
    })
  }

  it('is counted in words, the important ones first', () => {
    const silent = agent({ alive: false })
    assert.equal(statesText([silent, agent({ callbacks: HOLDS_TWO }), silent]), '1 working, 2 silent')
  })
})

describe('the times of an agent', () => {
  it('say when it was seen', () => {
    assert.equal(lastSeenText(agent(), NOW), '12 s ago')
    assert.equal(lastSeenText(agent({ last_seen_at: null }), NOW), 'never')
  })

  const lease = {
    id: '1',
    state: 'running',
    leased_at: '2026-11-22T03:00:00Z',
    lease_expires_at: '2026-11-22T03:00:30Z',
    assigned: false,
    objects: 3,
    delivered: 1,
  }

  it('say how old a lease is, and when it ends', () => {
    assert.equal(leaseText(lease, NOW), '12 s, ends in 18 s unless renewed')
  })

  it('say that a lease has ended, and that there is none', () => {
    assert.equal(leaseText({ ...lease, lease_expires_at: '2026-11-22T03:00:11.5Z' }, NOW), '12 s, ended 500 ms ago')
    assert.equal(leaseText({ ...lease, leased_at: null, lease_expires_at: null }, NOW), 'not leased')
  })
})
