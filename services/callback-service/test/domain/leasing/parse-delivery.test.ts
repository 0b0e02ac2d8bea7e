import assert from 'node:assert/strict'
import { InvalidBodyError } from '../../../domain/json-body.ts'
import { parseDelivery } from '../../../domain/leasing/parse-delivery.ts'

const parse = (text: string) => parseDelivery(Buffer.from(text))

describe('parseDelivery', () => {
  it('reads ids exactly, also beyond 2^53 and however they are written', () => {
    const ids = ['9007199254740993', '-9223372036854775808', '9223372036854775807', '1e3', '-0', '7.0']
    assert.deepEqual(
      parse(`{"objects":[${ids.map(id => `{"id":${id},"online":true}`).join(',')}]}`).map(({ id }) => id),
      [9007199254740993n, -(2n ** 63n), 2n ** 63n - 1n, 1000n, 0n, 7n],
    )
  })

  it('counts an object once that is named twice in the same way', () => {
    assert.deepEqual(parse('{"objects":[{"id":1,"online":false},{"id":1.0,"online":false}]}'), [{ id: 1n, online: false }])
  })

  const many = (count: number): string => `{"objects":[${Array.from({ length: count }, (_, i) => `{"id":${i},"online":true}`).join(',')}]}`

  it('takes 1,000 objects, and not one more', () => {
    assert.equal(parse(many(1000)).length, 1000)
    assert.throws(() => parse(many(1001)), new InvalidBodyError('out_of_range', 'The array may have at most 1000 values.', '/objects'))
  })

  for (const [text, code, pointer] of [
    ['', 'empty_body', undefined],
    ['{"objects":[{"id":1,"onl', 'invalid_json', undefined],
    ['{"objects":[{"id":1,"online":true}]} x', 'invalid_json', undefined],
    ['null', 'not_an_object', ''],
    ['{}', 'missing_member', '/objects'],
    ['{"objects":[]}', 'out_of_range', '/objects'],
    ['{"objects":{"1":true}}', 'wrong_type', '/objects'],
    ['{"objects":[1]}', 'wrong_type', '/objects/0'],
    ['{"objects":[{"id":1}]}', 'missing_member', '/objects/0/online'],
    ['{"objects":[{"online":true}]}', 'missing_member', '/objects/0/id'],
    ['{"objects":[{"id":1,"online":"true"}]}', 'wrong_type', '/objects/0/online'],
    ['{"objects":[{"id":"1","online":true}]}', 'wrong_type', '/objects/0/id'],
    ['{"objects":[{"id":null,"online":true}]}', 'wrong_type', '/objects/0/id'],
    ['{"objects":[{"id":0.1,"online":true}]}', 'not_an_integer', '/objects/0/id'],
    ['{"objects":[{"id":9007199254740993.5,"online":true}]}', 'not_an_integer', '/objects/0/id'],
    ['{"objects":[{"id":9223372036854775808,"online":true}]}', 'out_of_range', '/objects/0/id'],
    ['{"objects":[{"id":1e400,"online":true}]}', 'out_of_range', '/objects/0/id'],
    ['{"objects":[{"id":1,"online":true,"name":"a"}]}', 'unknown_member', '/objects/0/name'],
    ['{"objects":[{"id":1,"id":2,"online":true}]}', 'duplicate_member', '/objects/0/id'],
    ['{"objects":[{"id":1,"online":true},{"id":1,"online":false}]}', 'invalid_value', '/objects/1'],
    ['{"objects":[{"id":1,"online":true}],"more":1}', 'unknown_member', '/more'],
    [`{"objects":${'['.repeat(40)}${']'.repeat(40)}}`, 'too_deep', undefined],
    [`{"id":${'{"id":'.repeat(20_000)}1${'}'.repeat(20_000)}}`, 'too_deep', undefined],
  ] as const) {
    it(`refuses ${text.slice(0, 60)} with ${code}`, () => {
      assert.throws(
        () => parse(text),
        (error: unknown) => error instanceof InvalidBodyError && error.code === code && error.pointer === pointer,
      )
    })
  }

  it('refuses bytes that are not UTF-8', () => {
    assert.throws(() => parseDelivery(Buffer.from([0x7b, 0xff])), { code: 'invalid_encoding' })
  })
})
