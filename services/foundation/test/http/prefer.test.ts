import assert from 'node:assert/strict'
import { preferenceOf } from '../../http/prefer.ts'

describe('preferenceOf', () => {
  for (const [header, value] of [
    [undefined, undefined],
    ['', undefined],
    ['wait=5', '5'],
    ['respond-async, wait=5', '5'],
    ['return=minimal; foo="a, wait=9", WAIT = 5', '5'],
    ['wait=5; foo=bar, wait=9', '5'],
    ['wait="5"', '5'],
    ['wait="\\5"', '5'],
    ['foo="wait=9, wait=8", wait=5', '5'],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=-1', '-1'],
    ['waiting=9', undefined],
    ['wait 9, wait=5', '5'],
    ['=9,,;, wait=5', '5'],
    ['foo="wait=9', undefined],
  ] as const)
    it(`reads ${value} from ${header}`, () => {
      assert.equal(preferenceOf(header, 'wait'), value)
    })

  it('reads the longest header without delay', () => {
    const started = performance.now()
    for (const part of ['"', ',', '\\"', 'wait', '="', ' ', ';']) preferenceOf(part.repeat(16_384 / part.length), 'wait')
    assert.ok(performance.now() - started < 100)
  })
})
