import assert from 'node:assert/strict'
import type { CallbackPage } from '../../web/callbacks.ts'
import { OlderCallbacks } from '../../web/older-callbacks.ts'
import { callback, numbersOf } from './callback-samples.ts'

function pages(table: Record<string, CallbackPage | Error>) {
  const read: string[] = []
  return {
    read,
    reader: async (path: string) => {
      read.push(path)
      const page = table[path]
      if (page instanceof Error) throw page
      return page as CallbackPage
    },
  }
}

describe('OlderCallbacks', () => {
  it('reads one list page by page, and no page before it is needed', async () => {
    const { reader, read } = pages({
      first: { items: [callback(4), callback(3)], next: 'second' },
      second: { items: [callback(2), callback(1)] },
    })
    const older = new OlderCallbacks(['first'], reader)
    assert.deepEqual(numbersOf(await older.take(2)), [4, 3])
    assert.deepEqual([older.hasMore, read], [true, ['first']])
    assert.deepEqual(numbersOf(await older.take(2)), [2, 1])
    assert.equal(older.hasMore, false)
  })

  it('merges several lists, newest first, across their pages', async () => {
    const { reader } = pages({
      failed: { items: [callback(9), callback(2)], next: 'failed2' },
      failed2: { items: [callback(1)] },
      paused: { items: [callback(8), callback(7)], next: 'paused2' },
      paused2: { items: [callback(6), callback(3)] },
    })
    const older = new OlderCallbacks(['failed', 'paused'], reader)
    assert.deepEqual(numbersOf(await older.take(4)), [9, 8, 7, 6])
    assert.deepEqual(numbersOf(await older.take(4)), [3, 2, 1])
    assert.equal(older.hasMore, false)
  })

  it('loses nothing when a page cannot be read', async () => {
    const table: Record<string, CallbackPage | Error> = {
      failed: { items: [callback(9)], next: 'failed2' },
      failed2: new Error('away'),
      paused: { items: [callback(8)] },
    }
    const older = new OlderCallbacks(['failed', 'paused'], pages(table).reader)
    await assert.rejects(older.take(3), /away/)
    table['failed2'] = { items: [callback(7)] }
    assert.deepEqual(numbersOf(await older.take(3)), [9, 8, 7])
  })
})
