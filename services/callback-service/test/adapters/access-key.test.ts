import assert from 'node:assert/strict'
import { hashOfKey, newAccessKey } from '../../adapters/access-key.ts'
import { isKeyShaped } from '../../domain/workspaces/access-key.ts'

describe('newAccessKey', () => {
  it('makes keys with 256 random bits, of every workspace name, that have the shape of a key', () => {
    for (const workspace of ['a', 'default', '_'.repeat(64), 'x_y-Z']) {
      const keys = Array.from({ length: 100 }, () => newAccessKey(workspace))
      assert.equal(new Set(keys).size, 100)
      for (const key of keys) {
        assert.ok(isKeyShaped(key), key)
        assert.ok(key.startsWith(`ab_${workspace}_`))
        assert.equal(Buffer.from(key.slice(-43), 'base64url').length, 32)
      }
    }
  })

  it('hashes a key with SHA-256', () => {
    assert.equal(hashOfKey('abc').toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  // Not a random one: a key that begins with `_` after its workspace can be one character longer and still have the shape.
  const key = `ab_shop_${'y'.repeat(43)}`
  for (const text of [
    '',
    key.slice(0, -1),
    `${key}x`,
    ` ${key}`,
    `${key}\n`,
    key.replace('ab_', 'AB_'),
    key.replace('shop', ''),
    key.replace('shop', 'sh.op'),
    `ab_${'x'.repeat(65)}_${'y'.repeat(43)}`,
    'x'.repeat(65_536),
  ]) {
    it(`does not take ${JSON.stringify(text.replace(key.slice(8), '…')).slice(0, 40)} for a key`, () =>
      assert.equal(isKeyShaped(text), false))
  }
})
