import assert from 'node:assert/strict'
import { parseExactJson } from '../../web/exact-json.ts'

describe('parseExactJson', () => {
  it('keeps every digit of an id beyond 2^53', () => {
    assert.deepEqual(parseExactJson('{"id":9223372036854775807,"ids":[-9223372036854775808,9007199254740993]}'), {
      id: '9223372036854775807',
      ids: ['-9223372036854775808', '9007199254740993'],
    })
  })

  it('leaves numbers alone that are exact', () => {
    assert.deepEqual(
      parseExactJson('[9007199254740991,-9007199254740991,0,1.5,1e300]'),
      [9007199254740991, -9007199254740991, 0, 1.5, 1e300],
    )
  })

  it('leaves text alone that looks like a number', () => {
    assert.deepEqual(parseExactJson('["9223372036854775807","1"]'), ['9223372036854775807', '1'])
  })

  it('refuses what is not JSON', () => {
    assert.throws(() => parseExactJson('<html>'), SyntaxError)
  })
})
