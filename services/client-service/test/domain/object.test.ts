import assert from 'node:assert/strict'
import { neighbourOf, parseObjectId, statusOf } from '../../domain/object.ts'

const MAX = 2n ** 63n - 1n
const MIN = -(2n ** 63n)

describe('statusOf', () => {
  it('says that even ids are online', () => {
    for (const id of [0n, 2n, -2n, 9007199254740994n, MIN]) assert.deepEqual(statusOf(id), { id, online: true })
  })

  it('says that odd ids are offline, exactly also beyond 2^53', () => {
    for (const id of [1n, -1n, 9007199254740993n, MAX]) assert.deepEqual(statusOf(id), { id, online: false })
  })
})

describe('neighbourOf', () => {
  it('names another int64, of the other parity', () => {
    for (const id of [0n, 1n, -1n, MIN, MAX]) {
      assert.notEqual(statusOf(neighbourOf(id)).online, statusOf(id).online)
      assert.equal(parseObjectId(String(neighbourOf(id))), neighbourOf(id))
    }
  })
})

describe('parseObjectId', () => {
  it('reads every int64', () => {
    for (const id of [0n, 7n, -7n, 9007199254740993n, MIN, MAX]) assert.equal(parseObjectId(String(id)), id)
  })

  for (const text of ['', 'abc', '1.5', '1e3', '0x10', '+1', '-0', '01', ' 1', '1\n', '\0', '../', String(MAX + 1n), String(MIN - 1n)]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.equal(parseObjectId(text), undefined)
    })
  }
})
