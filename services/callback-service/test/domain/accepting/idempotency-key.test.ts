import assert from 'node:assert/strict'
import { bareKey, parseIdempotencyKey, scopedKey } from '../../../domain/accepting/idempotency-key.ts'

describe('parseIdempotencyKey', () => {
  it('reads the bare and the quoted form as the same key', () => {
    assert.equal(parseIdempotencyKey('abc-1', undefined), 'abc-1')
    assert.equal(parseIdempotencyKey('"abc-1"', undefined), 'abc-1')
    assert.equal(parseIdempotencyKey('"a\\"b\\\\c"', undefined), 'a"b\\c')
  })

  it('treats quotes that do not enclose the whole key as part of it', () => {
    for (const key of ['a"b"', '"a"b', '"a', 'a"']) assert.equal(parseIdempotencyKey(key, undefined), key)
  })

  it('uses webhook-id only if Idempotency-Key is absent', () => {
    assert.equal(parseIdempotencyKey(undefined, 'msg_1'), 'msg_1')
    assert.equal(parseIdempotencyKey('key', 'msg_1'), 'key')
    assert.equal(parseIdempotencyKey(undefined, undefined), undefined)
  })

  for (const [what, key] of [
    ['an empty key', ''],
    ['an empty quoted key', '""'],
    ['256 characters', 'x'.repeat(256)],
    ['characters beyond ASCII', 'schlüssel'],
    ['a tab', 'a\tb'],
  ] as const) {
    it(`refuses ${what}`, () => assert.throws(() => parseIdempotencyKey(key, undefined), { code: 'invalid_idempotency_key' }))
  }

  it('accepts 255 characters', () => assert.equal(parseIdempotencyKey('x'.repeat(255), undefined)?.length, 255))
})

describe('a scoped key', () => {
  it('is the bare key in the workspace default, as in earlier releases', () => {
    assert.equal(scopedKey('default', 'k'), 'k')
  })

  it('differs between workspaces and keys, and gives the bare key back', () => {
    const pairs = [
      ['default', 'k'],
      ['shop', 'k'],
      ['shop', 'k k'],
      ['Shop', 'k'],
    ] as const
    assert.equal(new Set(pairs.map(([workspace, key]) => scopedKey(workspace, key))).size, pairs.length)
    for (const [workspace, key] of pairs) assert.equal(bareKey(scopedKey(workspace, key)), key)
  })
})
