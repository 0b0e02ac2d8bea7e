import assert from 'node:assert/strict'
import { CallbackTable } from '../../web/callback-table.ts'
import { callback, numbersOf } from './callback-samples.ts'

const ALL = { states: [] }
const FAILED = { states: ['failed'] } as const
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => callback(from + index))

describe('CallbackTable', () => {
  it('shows the callback received last on top, whatever came first', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(2), callback(3), callback(1)])
    assert.deepEqual(numbersOf(table.read().rows), [3, 2, 1])
  })

  it('shows each callback once, in the state that came last', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(1), callback(1, { state: 'running' })])
    table.take([callback(1, { state: 'completed' })])
    assert.deepEqual(
      table.read().rows.map(({ state }) => state),
      ['completed'],
    )
  })

  it('keeps what the stream said while a list was under way', () => {
    const table = new CallbackTable(ALL)
    const listing = table.beginListing()
    table.take([callback(1, { state: 'completed' })])
    listing.add([callback(1, { state: 'pending' }), callback(2)])
    assert.deepEqual(
      table.read().rows.map(({ state }) => state),
      ['pending', 'completed'],
    )
  })

  it('does not bring back from a list what the stream took away meanwhile', () => {
    const table = new CallbackTable(FAILED)
    const listing = table.beginListing()
    table.take([callback(1, { state: 'pending' })])
    listing.add([callback(1, { state: 'failed' })])
    assert.deepEqual(table.read().rows, [])
  })

  it('keeps what the stream said while the answer to a change was under way', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(1, { state: 'failed' })])
    const change = table.beginChange()
    table.take([callback(1, { state: 'completed' })])
    change.add([callback(1, { state: 'pending' })])
    assert.equal(table.read().rows[0]?.state, 'completed')
  })

  it('drops a callback that leaves the filter by the answer to a change', () => {
    const table = new CallbackTable(FAILED)
    table.take([callback(1, { state: 'failed' })])
    table.beginChange().add([callback(1, { state: 'pending' })])
    assert.deepEqual(table.read().rows, [])
  })

  it('takes a list over what the stream said before it began', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(1, { state: 'running' })])
    const listing = table.beginListing()
    listing.add([callback(1, { state: 'completed' })])
    assert.equal(table.read().rows[0]?.state, 'completed')
  })

  it('forgets rows in doubt that neither the next list nor the stream names', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(1), callback(2), callback(3)])
    table.doubt()
    table.take([callback(3), callback(4)])
    table.beginListing().add([callback(2)])
    assert.deepEqual(numbersOf(table.read().rows), [4, 3, 2])
  })

  it('keeps rows in doubt until a list comes', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(1)])
    table.doubt()
    table.beginListing().end()
    assert.deepEqual(numbersOf(table.read().rows), [1])
  })

  it('drops a callback that leaves the filter', () => {
    const table = new CallbackTable(FAILED)
    table.take([callback(1, { state: 'failed' }), callback(2, { state: 'failed' }), callback(1, { state: 'pending' })])
    assert.deepEqual(numbersOf(table.read().rows), [2])
  })

  it('drops a callback that the service has deleted', () => {
    const table = new CallbackTable(ALL)
    table.take([callback(1), callback(2)])
    table.remove(callback(1).id)
    assert.deepEqual(numbersOf(table.read().rows), [2])
  })

  it('keeps the newest, and says that it has dropped others', () => {
    const table = new CallbackTable(ALL, 3)
    table.take(range(1, 3))
    assert.equal(table.read().isCut, false)
    table.take(range(4, 5))
    assert.deepEqual(numbersOf(table.read().rows), [5, 4, 3])
    assert.equal(table.read().isCut, true)
  })

  describe('while it is held', () => {
    it('counts newer callbacks, but does not show them', () => {
      const table = new CallbackTable(ALL)
      table.take(range(1, 2))
      table.hold()
      table.take(range(3, 5))
      const { rows, newer } = table.read()
      assert.deepEqual(numbersOf(rows), [2, 1])
      assert.equal(newer, 3)
    })

    it('still changes its rows, and takes one in that belongs between them', () => {
      const table = new CallbackTable(ALL)
      table.take([callback(1), callback(3)])
      table.hold()
      table.take([callback(1, { state: 'failed' }), callback(2)])
      assert.deepEqual(
        table.read().rows.map(({ id, state }) => [Number(id.slice(-12)), state]),
        [
          [3, 'pending'],
          [2, 'pending'],
          [1, 'failed'],
        ],
      )
    })

    it('keeps an empty table empty', () => {
      const table = new CallbackTable(ALL)
      table.hold()
      table.take([callback(1)])
      assert.deepEqual([table.read().rows.length, table.read().newer], [0, 1])
    })

    it('shows everything after its release', () => {
      const table = new CallbackTable(ALL)
      table.take([callback(1)])
      table.hold()
      table.take(range(2, 3))
      table.release()
      assert.deepEqual(numbersOf(table.read().rows), [3, 2, 1])
      assert.equal(table.read().newer, 0)
    })

    it('leaves half of the room to its rows', () => {
      const table = new CallbackTable(ALL, 10)
      table.take(range(1, 10))
      table.hold()
      table.take(range(11, 100))
      const { rows, newer, isNewerCut } = table.read()
      assert.deepEqual(numbersOf(rows), [10, 9, 8, 7, 6])
      assert.deepEqual([newer, isNewerCut], [5, true])
    })

    it('drops its rows at its release, if callbacks above them are gone', () => {
      const table = new CallbackTable(ALL, 10)
      table.take(range(1, 10))
      table.hold()
      table.take(range(11, 100))
      table.release()
      const { rows, isCut, isNewerCut } = table.read()
      assert.deepEqual(numbersOf(rows), [100, 99, 98, 97, 96])
      assert.deepEqual([isCut, isNewerCut], [true, false])
    })
  })
})
