import assert from 'node:assert/strict'
import { countRecovered } from './checker.ts'
import { fail, found, info, keyReused, ok, row, sent } from './evidence.ts'
import type { Outcome, SentCallback, StoredCallback } from './history.ts'

describe('the checker of what the sender was told', () => {
  it('finds nothing if accepted callbacks are finished and refused ones are not in the database', () => {
    const callbacks = [sent([info, ok('a'), ok('a')]), sent([fail], { key: 'k2', isInvalid: true }), sent([info], { key: 'k3' })]
    assert.deepEqual(found({ sent: callbacks, rows: [row()] }), {})
  })

  it('calls an accepted callback lost if it is not there, whatever the answers to its copies', () => {
    assert.deepEqual(found({ sent: [sent([info, ok('a'), info])] }), { lost: 1 })
  })

  for (const state of ['pending', 'running']) {
    it(`calls an accepted callback stuck if it is still ${state}`, () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row({ state })] }), { stuck: 1 })
    })
  }

  it('calls two ids for one key a duplicate, and the missing one lost', () => {
    assert.deepEqual(found({ sent: [sent([ok('a'), ok('b')])], rows: [row()] }), { lost: 1, duplicated: 1 })
  })

  it('calls two rows for one key a duplicate', () => {
    assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row(), row({ id: 'b' })] }), { duplicated: 1 })
  })

  it('calls a row unexpected if it was always refused or never sent', () => {
    assert.deepEqual(found({ sent: [sent([fail, fail], { isInvalid: true })], rows: [row()] }), { unexpected: 1 })
    assert.deepEqual(found({ rows: [row({ key: 'k9' })] }), { unexpected: 1 })
  })

  it('counts a stored callback without a 202 as recovered, and finds nothing wrong with it', () => {
    const sentToo = [sent([info, info]), sent([ok('b')], { key: 'k2' }), sent([info], { key: 'k3' })]
    const rows = [row(), row({ id: 'b', key: 'k2' })]
    assert.equal(countRecovered({ sent: sentToo, rows }), 1)
    assert.deepEqual(found({ sent: sentToo, rows }), {})
  })

  it('finds other ids than were sent, and a valid callback that was refused', () => {
    assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row({ objectIds: [2] })] }), { altered: 1 })
    assert.deepEqual(found({ sent: [sent([fail])] }), { refused: 1 })
  })

  describe('of rivals', () => {
    /** A callback with the same key and other object ids. */
    const rival = (outcomes: readonly Outcome[]): SentCallback => sent(outcomes, { objectIds: [3, 4] })
    const rivalRow = (changes: Partial<StoredCallback> = {}): StoredCallback => row({ id: 'b', key: null, objectIds: [3, 4], ...changes })

    it('accepts that one is kept and the other is refused because of its key', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([info, keyReused])], rows: [row()] }), {})
    })

    it('accepts that both are kept if one of them came through a spool', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('b', 'spooled')])], rows: [row(), rivalRow()] }), {})
    })

    it('finds two that the database has accepted', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('b')])], rows: [row(), rivalRow({ key: 'k1' })] }), { duplicated: 1 })
    })

    it('accepts a spooled rival without a key whose sender heard of it from the database only', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([info, ok('b')])], rows: [row(), rivalRow()] }), {})
    })

    it('calls an accepted rival lost if it is there with the ids of the other, or not at all', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('a', 'spooled')])], rows: [row()] }), { lost: 1 })
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('b', 'spooled')])], rows: [row()] }), { lost: 1 })
    })

    it('calls a rival unexpected that was always refused because of its key', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([keyReused])], rows: [row(), rivalRow()] }), { unexpected: 1 })
    })

    it('finds a refusal because of a key that nobody has', () => {
      assert.deepEqual(found({ sent: [sent([info]), rival([keyReused])] }), { refused: 1 })
      assert.deepEqual(found({ sent: [sent([keyReused])] }), { refused: 1 })
    })

    it('finds a callback without a key that nobody sent', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row(), rivalRow()] }), { unexpected: 1 })
    })
  })
})
