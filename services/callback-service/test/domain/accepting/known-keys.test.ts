import assert from 'node:assert/strict'
import { KnownKeys } from '../../../domain/accepting/known-keys.ts'

describe('KnownKeys', () => {
  it('remembers at most max keys, at least half of them, and the latest owner of each', () => {
    const keys = new KnownKeys({ max: 4, forgetAfterMs: 1000, nowMs: () => 0 })
    const known = (): string[] => ['a', 'b', 'c', 'd', 'e'].filter(key => keys.ownerOf(key) === `owner of ${key}`)
    keys.remember('a', 'somebody')
    for (const key of ['a', 'b', 'c']) keys.remember(key, `owner of ${key}`)
    assert.deepEqual(known(), ['a', 'b', 'c'])
    keys.remember('d', 'owner of d')
    keys.remember('e', 'owner of e')
    assert.deepEqual(known(), ['c', 'd', 'e'])
  })

  it('does not know a key that the database may have forgotten', () => {
    let nowMs = 5000
    const keys = new KnownKeys({ max: 2, forgetAfterMs: 1000, nowMs: () => nowMs })
    keys.remember('a', 'owner')
    nowMs += 999
    assert.equal(keys.ownerOf('a'), 'owner')
    nowMs += 1
    assert.equal(keys.ownerOf('a'), undefined)
  })
})
