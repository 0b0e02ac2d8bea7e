import assert from 'node:assert/strict'
import { STANDARD_HEADERS, SVIX_HEADERS, signedHeadersOf } from '../../../domain/accepting/signed-headers.ts'

describe('signedHeadersOf', () => {
  it('takes the standard names where there are none, so that messages name them', () => {
    assert.equal(signedHeadersOf({}), STANDARD_HEADERS)
  })

  it("takes Svix's names if there are no others", () => {
    assert.equal(signedHeadersOf({ 'svix-id': 'msg_1', 'svix-timestamp': '1', 'svix-signature': 'v1,x' }), SVIX_HEADERS)
  })

  for (const name of Object.values(STANDARD_HEADERS)) {
    it(`takes the standard names if there is a ${name} beside Svix's, even an empty one`, () => {
      assert.equal(signedHeadersOf({ 'svix-id': 'msg_1', 'svix-timestamp': '1', 'svix-signature': 'v1,x', [name]: '' }), STANDARD_HEADERS)
    })
  }
})
