import assert from 'node:assert/strict'
import { Store } from '../../web/store.ts'

describe('Store', () => {
  it('tells its listeners of a new value, and of none that is the same', () => {
    const store = new Store(1)
    const seen: number[] = []
    store.subscribe(() => seen.push(store.value))
    for (const value of [1, 2, 2, 3]) store.set(value)
    assert.deepEqual(seen, [2, 3])
  })

  it('tells a listener nothing more once it has left', () => {
    const store = new Store(1)
    const seen: number[] = []
    const leave = store.subscribe(() => seen.push(store.value))
    leave()
    store.set(2)
    assert.deepEqual(seen, [])
  })

  it('lets a listener leave while it is told', () => {
    const store = new Store(1)
    const seen: string[] = []
    const leave = store.subscribe(() => {
      seen.push('first')
      leave()
    })
    store.subscribe(() => seen.push('second'))
    store.set(2)
    store.set(3)
    assert.deepEqual(seen, ['first', 'second', 'second'])
  })
})
