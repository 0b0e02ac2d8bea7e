import assert from 'node:assert/strict'
import { isKeyShaped } from '../../../domain/workspaces/access-key.ts'

const RANDOM = `${'A-_b'.repeat(10)}xyz`

describe('isKeyShaped', () => {
  for (const name of ['shop', 'a', '_', '-', 'a_b_c', 'x'.repeat(64)]) {
    it(`takes a key of the workspace ${name}`, () => assert.equal(isKeyShaped(`ab_${name}_${RANDOM}`), true))
  }

  for (const [what, text] of [
    ['an empty text', ''],
    ['a key cut short', `ab_shop_${RANDOM.slice(1)}`],
    ['a name of 65 characters', `ab_${'x'.repeat(65)}_${RANDOM}`],
    ['no name', `ab__${RANDOM}`],
    ['another prefix', `AB_shop_${RANDOM}`],
    ['a look-alike', `ab_shоp_${RANDOM}`],
    ['a NUL', `ab_shop_${RANDOM.slice(1)}\0`],
    ['a line end', `ab_shop_${RANDOM}\n`],
    ['a path', `ab_.._${RANDOM}`],
    ['64 KB', `ab_shop_${RANDOM.repeat(1500)}`],
    ['padding', `ab_shop_${RANDOM}=`],
  ] as const) {
    it(`takes no text with ${what}`, () => assert.equal(isKeyShaped(text), false))
  }
})
