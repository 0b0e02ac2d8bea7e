import assert from 'node:assert/strict'
import { check, countRecovered, type Evidence, type Violation } from './checker.ts'
import type { Outcome, SentCallback, StoredCallback, Transition } from './history.ts'

const ok = (id: string): Outcome => ({ kind: 'ok', id, durability: 'database' })
const fail: Outcome = { kind: 'fail', status: 422 }
const info: Outcome = { kind: 'info', reason: 'ECONNRESET' }

/** A callback of the sender: key `k1`, objects 1 and 2. */
const sent = (outcomes: readonly Outcome[], changes: Partial<SentCallback> = {}): SentCallback => ({
  key: 'k1',
  objectIds: [1, 2],
  isBad: false,
  outcomes,
  ...changes,
})

/** The same one as it is stored: id `a`, completed, received at 10,000. */
const row = (changes: Partial<StoredCallback> = {}): StoredCallback => ({
  id: 'a',
  key: 'k1',
  state: 'completed',
  objectIds: [1, 2],
  unstored: [],
  receivedAtMs: 10_000,
  ...changes,
})

const step = (from: string, to: string, replica: string, changes: Partial<Transition> = {}): Transition => ({
  callbackId: 'a',
  atMs: 20_000,
  replica,
  from,
  to,
  oldWorker: undefined,
  newWorker: undefined,
  isWorkerAlive: false,
  ...changes,
})

const evidence = (changes: Partial<Evidence>): Evidence => ({
  sent: [],
  rows: [],
  transitions: [],
  fetchedAtMs: new Map([
    [1, 11_000],
    [2, 11_000],
  ]),
  ...changes,
})

/** Which violations are found, and how many of each. */
function found(changes: Partial<Evidence>): Partial<Record<Violation, number>> {
  const counts = Object.entries(check(evidence(changes))).map(([violation, findings]) => [violation, findings.length] as const)
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}

describe('the checker of chaos', () => {
  describe('of what the sender was told', () => {
    it('finds nothing where what was accepted is finished and what was refused is not there', () => {
      const callbacks = [sent([info, ok('a'), ok('a')]), sent([fail], { key: 'k2', isBad: true }), sent([info], { key: 'k3' })]
      assert.deepEqual(found({ sent: callbacks, rows: [row()] }), {})
    })

    it('takes for lost what was accepted and is not there, whatever other copies were answered', () => {
      assert.deepEqual(found({ sent: [sent([info, ok('a'), info])] }), { lost: 1 })
    })

    for (const state of ['pending', 'running']) {
      it(`takes for stuck what was accepted and is still ${state}`, () => {
        assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row({ state })] }), { stuck: 1 })
      })
    }

    it('is content with a callback that failed: it is finished, and has its reasons', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row({ state: 'failed', unstored: [{ id: '1', outcome: 'failed' }] })] }), {})
    })

    it('takes two ids for one key for a duplicate, and the one that is not there for lost', () => {
      assert.deepEqual(found({ sent: [sent([ok('a'), ok('b')])], rows: [row()] }), { lost: 1, duplicated: 1 })
    })

    it('takes two rows for one key for a duplicate', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row(), row({ id: 'b' })] }), { duplicated: 1 })
    })

    it('does not expect what was refused each time, nor what was never sent', () => {
      assert.deepEqual(found({ sent: [sent([fail, fail], { isBad: true })], rows: [row()] }), { unexpected: 1 })
      assert.deepEqual(found({ rows: [row({ key: 'k9' })] }), { unexpected: 1 })
    })

    it('counts as recovered what nobody was told of, and finds nothing wrong with it', () => {
      const sentToo = [sent([info, info]), sent([ok('b')], { key: 'k2' }), sent([info], { key: 'k3' })]
      const rows = [row(), row({ id: 'b', key: 'k2' })]
      assert.equal(countRecovered({ sent: sentToo, rows }), 1)
      assert.deepEqual(found({ sent: sentToo, rows }), {})
    })

    it('sees other ids than were sent, and a valid callback that was refused', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row({ objectIds: [2] })] }), { altered: 1 })
      assert.deepEqual(found({ sent: [sent([fail])] }), { refused: 1 })
    })
  })

  describe('of the objects', () => {
    it('misses an object of which a finished callback says nothing, and that was not stored since it came', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row()], fetchedAtMs: new Map([[1, 11_000]]) }), { unaccounted: 1 })
      const fetchedAtMs = new Map([
        [1, 11_000],
        [2, 5000],
      ])
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row()], fetchedAtMs }), { unaccounted: 1 })
    })

    it('misses the outcome of an object that is still to be fetched, and of no other', () => {
      const unstored = [
        { id: '1', outcome: 'not_found' },
        { id: '2', outcome: 'pending' },
      ]
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row({ unstored })] }), { unaccounted: 1 })
    })
  })

  describe('of claims', () => {
    it('follows a callback that is claimed, given back, claimed by another and finished', () => {
      const transitions = [
        step('pending', 'running', 'x'),
        step('running', 'pending', 'x', { isWorkerAlive: true }),
        step('pending', 'running', 'y'),
        step('running', 'completed', 'y'),
      ]
      assert.deepEqual(found({ transitions }), {})
    })

    it('sees a finished callback change, or go', () => {
      const finished = [step('pending', 'running', 'x'), step('running', 'completed', 'x')]
      for (const to of ['completed', 'pending', 'deleted'])
        assert.deepEqual(found({ transitions: [...finished, step('completed', to, 'x')] }), { rewritten: 1 })
    })

    it('sees a callback finished by somebody who had lost it, or that nobody had claimed', () => {
      const lost = [step('pending', 'running', 'x'), step('running', 'pending', 'y')]
      assert.deepEqual(found({ transitions: [...lost, step('pending', 'completed', 'x')] }), { usurped: 1 })
      assert.deepEqual(found({ transitions: [...lost, step('pending', 'running', 'y'), step('running', 'completed', 'x')] }), {
        usurped: 1,
      })
    })

    it('sees a callback taken from a worker that lives, and lets it be taken from one that may be dead', () => {
      const claimed = step('pending', 'running', 'x')
      assert.deepEqual(found({ transitions: [claimed, step('running', 'pending', 'y', { isWorkerAlive: true })] }), { stolen: 1 })
      assert.deepEqual(found({ transitions: [claimed, step('running', 'pending', 'y')] }), {})
    })
  })
})
