import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import { keyedCallbackId, newCallbackId } from '../../adapters/callback-id.ts'

describe('the id of a callback', () => {
  it('is another each time without an idempotency key, and increases with time', () => {
    const ids = Array.from({ length: 1000 }, newCallbackId)
    assert.equal(new Set(ids).size, 1000)
    assert.ok(ids.every(id => /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id)))
    assert.ok((ids[0]?.slice(0, 13) as string) <= (ids.at(-1)?.slice(0, 13) as string))
  })

  it('takes its random bytes from a pool, which is filled once for 256 of them', () => {
    const fill = mock.method(crypto, 'randomFillSync')
    syncBuiltinESMExports()
    try {
      for (let i = 0; i < 512; i += 1) newCallbackId()
      assert.equal(fill.mock.callCount(), 2)
    } finally {
      fill.mock.restore()
      syncBuiltinESMExports()
    }
  })

  it('is the same for the same key and object ids in any order, in this release as in those before', () => {
    assert.equal(keyedCallbackId('k', '{1,2,10}'), 'dabaede5-b22c-543b-999e-b15174185ce6')
    assert.equal(keyedCallbackId('k', '{10,1,2}'), keyedCallbackId('k', '{1,2,10}'))
  })

  it('is another for another key or other object ids', () => {
    const ids = [keyedCallbackId('k', '{1,2}'), keyedCallbackId('l', '{1,2}'), keyedCallbackId('k', '{12}'), keyedCallbackId('k', '{}')]
    assert.equal(new Set(ids).size, 4)
  })
})
