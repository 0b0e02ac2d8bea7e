import assert from 'node:assert/strict'
import { countRecovered } from './checker.ts'
import { fail, found, info, keyReused, ok, row, sent } from './evidence.ts'
import type { Outcome, SentCallback, StoredCallback } from './history.ts'

describe('the checker of what the sender was told', () => {
  it('finds nothing where what was accepted is finished and what was refused is not there', () => {
    const callbacks = [sent([info, ok('a'), ok('a')]), sent([fail], { key: 'k2', isInvalid: true }), sent([info], { key: 'k3' })]
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

  it('takes two ids for one key for a duplicate, and the one that is not there for lost', () => {
    assert.deepEqual(found({ sent: [sent([ok('a'), ok('b')])], rows: [row()] }), { lost: 1, duplicated: 1 })
  })

  it('takes two rows for one key for a duplicate', () => {
    assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row(), row({ id: 'b' })] }), { duplicated: 1 })
  })

  it('does not expect what was refused each time, nor what was never sent', () => {
    assert.deepEqual(found({ sent: [sent([fail, fail], { isInvalid: true })], rows: [row()] }), { unexpected: 1 })
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

  describe('of rivals', () => {
    /** A callback with the same key and other object ids. */
    const rival = (outcomes: readonly Outcome[]): SentCallback => sent(outcomes, { objectIds: [3, 4] })
    const rivalRow = (changes: Partial<StoredCallback> = {}): StoredCallback => row({ id: 'b', key: null, objectIds: [3, 4], ...changes })

    it('is content when one is kept and the other is told that its key is taken', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([info, keyReused])], rows: [row()] }), {})
    })

    it('is content when both were accepted, one of them by a spool, and both are there', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('b', 'spooled')])], rows: [row(), rivalRow()] }), {})
    })

    it('finds two that the database has accepted', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('b')])], rows: [row(), rivalRow({ key: 'k1' })] }), { duplicated: 1 })
    })

    it('is content when the one without a key was spooled, and its sender only heard of it again from the database', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([info, ok('b')])], rows: [row(), rivalRow()] }), {})
    })

    it('takes for lost what was accepted and is there with the ids of its rival, or not at all', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('a', 'spooled')])], rows: [row()] }), { lost: 1 })
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([ok('b', 'spooled')])], rows: [row()] }), { lost: 1 })
    })

    it('does not expect one that was only ever told that its key is taken', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')]), rival([keyReused])], rows: [row(), rivalRow()] }), { unexpected: 1 })
    })

    it('sees that a key is called taken that nobody has', () => {
      assert.deepEqual(found({ sent: [sent([info]), rival([keyReused])] }), { refused: 1 })
      assert.deepEqual(found({ sent: [sent([keyReused])] }), { refused: 1 })
    })

    it('sees a callback without a key that nobody sent', () => {
      assert.deepEqual(found({ sent: [sent([ok('a')])], rows: [row(), rivalRow()] }), { unexpected: 1 })
    })
  })
})
