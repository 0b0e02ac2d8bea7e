import assert from 'node:assert/strict'
import { parseOnline } from '../../client/object-answer.ts'
import type { FetchError } from '../../fetched-object.ts'

const BEYOND = 2n ** 53n + 1n
const DEEP = 10_000

describe('parseOnline', () => {
  for (const [what, body, id, online] of [
    ['an answer', '{"id":7,"online":true}', 7n, true],
    ['one with other members', '{"name":"x","online":false,"id":-7}', -7n, false],
    ['an id that a double does not hold, by its digits', `{"id":${BEYOND},"online":true}`, BEYOND, true],
    ['the smallest int64', '{"id":-9223372036854775808,"online":true}', -(2n ** 63n), true],
    ['an id with a fraction of zero', '{"id":7.0,"online":true}', 7n, true],
    ['a huge id beside another number', `{"id":${BEYOND},"version":5,"online":true}`, BEYOND, true],
    ['a huge id beside those of objects within', `{"a":{"id":1},"id":${BEYOND},"b":[{"id":2}],"online":true}`, BEYOND, true],
  ] as const) {
    it(`reads ${what}`, () => assert.equal(parseOnline(body, id), online))
  }

  const another = 'the answer is about another object'
  const unreadable = 'the answer cannot be parsed'
  for (const [what, body, id, why] of [
    ['about another object', '{"id":8,"online":true}', 7n, another],
    ['about an object that a double takes for the same', `{"id":${BEYOND},"online":true}`, BEYOND - 1n, another],
    ['with a huge id in another spelling', `{"id":${BEYOND}.0,"online":true}`, BEYOND, another],
    ['with an id of twenty digits', `{"id":1${'0'.repeat(19)},"online":true}`, 10n ** 19n, another],
    ['with an id that is a string', '{"id":"7","online":true}', 7n, another],
    ['whose id is in an object within', `{"a":{"id":${BEYOND}},"id":1e300,"online":true}`, BEYOND, another],
    ['that is null', 'null', 7n, another],
    ['without online', '{"id":7}', 7n, 'online is not a boolean'],
    ['whose online is a string', '{"id":7,"online":"true"}', 7n, 'online is not a boolean'],
    ['that is not JSON', '{"id":7', 7n, unreadable],
    ['nested too deep to be visited', `{"id":${BEYOND},"a":${'['.repeat(DEEP)}${']'.repeat(DEEP)},"online":true}`, BEYOND, unreadable],
  ] as const) {
    it(`counts an answer ${what} as retryable trouble of the host`, () => {
      assert.throws(
        () => parseOnline(body, id),
        ({ reason, isRetryable, isHostTrouble, cause }: FetchError) => {
          assert.deepEqual([reason, isRetryable, isHostTrouble], ['invalid_answer', true, true])
          assert.ok(cause instanceof Error)
          assert.deepEqual([cause.message, cause.cause instanceof Error], [why, why === unreadable])
          return true
        },
      )
    })
  }
})
