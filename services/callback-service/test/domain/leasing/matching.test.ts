import assert from 'node:assert/strict'
import type { KnownAgent } from '../../../domain/agents/agent.ts'
import { type Candidate, match, type Poll, suits } from '../../../domain/leasing/matching.ts'

const agent = (id: string, labels: readonly string[] = []): KnownAgent => ({
  ...{ id, workspace: 'plant', name: id, labels },
  ...{ maxLeases: 16, isArchived: false },
})
const poll = (id: string, changes: Partial<Poll> = {}): Poll => ({ agent: agent(id), maxCallbacks: 1, maxObjects: 1000, ...changes })
const candidate = (id: string, changes: Partial<Candidate> = {}): Candidate => ({
  id,
  objects: 1,
  labels: [],
  assignedTo: null,
  ...changes,
})
const many = (count: number, changes: Partial<Candidate> = {}) => Array.from({ length: count }, (_, i) => candidate(`c${i}`, changes))

/** @returns the agent and the callback of each grant */
function given(polls: readonly Poll[], candidates: readonly Candidate[], room = 16): string[] {
  return match(polls, candidates, () => room).map(grant => `${grant.poll.agent.id} ${grant.candidate.id}`)
}

describe('match', () => {
  it('serves the polls in the order in which they came', () => {
    assert.deepEqual(given([poll('a'), poll('b'), poll('c')], many(2)), ['a c0', 'b c1'])
  })

  it('gives everybody who waits one callback before anybody gets two', () => {
    const polls = [poll('a', { maxCallbacks: 10 }), poll('b', { maxCallbacks: 10 })]
    assert.deepEqual(given(polls, many(5)), ['a c0', 'b c1', 'a c2', 'b c3', 'a c4'])
  })

  it('gives a poll no more callbacks than it wants', () => {
    assert.deepEqual(given([poll('a', { maxCallbacks: 2 })], many(3)), ['a c0', 'a c1'])
  })

  it('gives a poll no more objects than it wants, but the first callback whole', () => {
    const wants = { maxCallbacks: 10, maxObjects: 100 }
    assert.deepEqual(given([poll('a', wants)], many(3, { objects: 1000 })), ['a c0'])
    assert.deepEqual(
      given([poll('a', wants)], [candidate('x', { objects: 60 }), candidate('y', { objects: 60 }), candidate('z', { objects: 40 })]),
      ['a x', 'a z'],
    )
  })

  it('gives the polls of one agent together no more than it may hold', () => {
    assert.deepEqual(given([poll('a', { maxCallbacks: 3 }), poll('a', { maxCallbacks: 3 })], many(6), 2), ['a c0', 'a c1'])
    assert.deepEqual(given([poll('a')], many(1), 0), [])
  })

  it('passes a poll over that a callback does not suit, without loss of its turn', () => {
    const polls = [poll('a'), { ...poll('b'), agent: agent('b', ['x']) }]
    assert.deepEqual(given(polls, [candidate('needs x', { labels: ['x'] }), candidate('any')]), ['b needs x', 'a any'])
  })
})

describe('suits', () => {
  it('needs all labels of the callback, and allows more', () => {
    assert.ok(suits(agent('a', ['x', 'y', 'z']), candidate('c', { labels: ['x', 'y'] })))
    assert.ok(!suits(agent('a', ['x']), candidate('c', { labels: ['x', 'y'] })))
    assert.ok(suits(agent('a'), candidate('c')))
  })

  it('needs no label for a callback that is assigned to the agent, and none helps for one that is assigned to another', () => {
    assert.ok(suits(agent('a'), candidate('c', { labels: ['x'], assignedTo: 'a' })))
    assert.ok(!suits(agent('a', ['x']), candidate('c', { labels: ['x'], assignedTo: 'b' })))
  })
})
