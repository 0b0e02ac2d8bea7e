import assert from 'node:assert/strict'
import { parseObjectId } from '../object-id.ts'

describe('parseObjectId', () => {
  it('reads int64s as they are written without leading zeros', () => {
    for (const text of ['0', '7', '-7', '10', '9223372036854775807', '-9223372036854775808']) {
      assert.equal(parseObjectId(text), BigInt(text))
    }
  })

  it('reads nothing else', () => {
    for (const text of ['', '-', '-0', '007', '+7', '7x', 'x7', ' 7', '1.0', '1e3', '0x7', '9223372036854775808', '-9223372036854775809']) {
      assert.equal(parseObjectId(text), undefined, text)
    }
  })
})
