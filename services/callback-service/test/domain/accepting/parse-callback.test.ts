import assert from 'node:assert/strict'
import fc from 'fast-check'
import { parseCallback } from '../../../domain/accepting/parse-callback.ts'
import { InvalidBodyError } from '../../../domain/json-body.ts'

const parse = (text: string): bigint[] => parseCallback(Buffer.from(text), 1000).map(BigInt)
const ids = (list: string): string => `{"object_ids":[${list}]}`

describe('parseCallback', () => {
  const accepted: [string, string, bigint[]][] = [
    ['plain ids', ids('1,2,3'), [1n, 2n, 3n]],
    ['no ids', ids(''), []],
    ['white space', ' {\n"object_ids" :\t[ 1 , 2 ]\r\n} ', [1n, 2n]],
    ['duplicates, keeping the first', ids('3,1,3,1,2'), [3n, 1n, 2n]],
    ['zero and negatives', ids('0,-1,-0'), [0n, -1n]],
    ['ids beyond 2^53, exactly', ids('9007199254740993,9007199254740992'), [9007199254740993n, 9007199254740992n]],
    ['the ends of int64', ids('9223372036854775807,-9223372036854775808'), [9223372036854775807n, -9223372036854775808n]],
    ['integers in other spellings', ids('1e3,1.0,-0.0,12.5e1,100e-2,0e999999999999'), [1000n, 1n, 0n, 125n]],
    ['a byte order mark', `\uFEFF${ids('1')}`, [1n]],
    ['unknown members', '{"x":{"object_ids":[9]},"object_ids":[1],"y":[{"z":"]}"}]}', [1n]],
    ['members called __proto__ and constructor', '{"__proto__":{"object_ids":[9]},"constructor":1,"object_ids":[1]}', [1n]],
    ['a member name in escapes', '{"object\\u005fids":[9007199254740993]}', [9007199254740993n]],
    ['32 levels', `{"object_ids":[1],"x":${'['.repeat(31)}${']'.repeat(31)}}`, [1n]],
    ['1,000 ids', ids(Array.from({ length: 1000 }, () => 7).join(',')), [7n]],
    ['an empty member name', '{"":"","object_ids":[1.0]}', [1n]],
  ]
  for (const [what, text, expected] of accepted) it(`accepts ${what}`, () => assert.deepEqual(parse(text), expected))

  const refused: [string, string, string, string?][] = [
    ['an empty body', '', 'empty_body'],
    ['white space alone', ' \n', 'empty_body'],
    ['a cut-off body', '{"object_ids":[1', 'invalid_json'],
    ['a trailing comma', ids('1,'), 'invalid_json'],
    ['NaN', ids('NaN'), 'invalid_json'],
    ['a leading zero', ids('01'), 'invalid_json'],
    ['two values', `${ids('1')}${ids('2')}`, 'invalid_json'],
    ['a member named twice', '{"object_ids":[1],"object_ids":[2]}', 'duplicate_member', '/object_ids'],
    ['a member named twice by escapes', '{"object_ids":[1],"object\\u005fids":[2]}', 'duplicate_member', '/object_ids'],
    ['a member named twice inside another', '{"object_ids":[1],"a/b":["c","c",{"c":1,"c":2}]}', 'duplicate_member', '/a~1b/2/c'],
    ['33 levels', `{"object_ids":[],"x":${'['.repeat(32)}${']'.repeat(32)}}`, 'too_deep'],
    ['thousands of levels', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, 'too_deep'],
    ['an array', '[1]', 'not_an_object', ''],
    ['null', 'null', 'not_an_object', ''],
    ['a string', '"object_ids"', 'not_an_object', ''],
    ['no object_ids', '{"ids":[1]}', 'missing_member', '/object_ids'],
    ['object_ids deeper inside alone', '{"x":{"object_ids":[9]}}', 'missing_member', '/object_ids'],
    ['object_ids null', '{"object_ids":null}', 'wrong_type', '/object_ids'],
    ['object_ids a string', '{"object_ids":"1,2"}', 'wrong_type', '/object_ids'],
    ['object_ids a number', '{"object_ids":7}', 'wrong_type', '/object_ids'],
    ['object_ids an object', '{"object_ids":{"0":1}}', 'wrong_type', '/object_ids'],
    ['an id that is a string', ids('1,2,3,"4"'), 'wrong_type', '/object_ids/3'],
    ['an id that is a boolean', ids('true'), 'wrong_type', '/object_ids/0'],
    ['an id that is null', ids('null'), 'wrong_type', '/object_ids/0'],
    ['an id that is an array', ids('[1]'), 'wrong_type', '/object_ids/0'],
    ['an id that is an object', ids('1,{"id":2}'), 'wrong_type', '/object_ids/1'],
    ['a fraction', ids('1,1.5'), 'not_an_integer', '/object_ids/1'],
    ['a fraction no double holds', ids('1.00000000000000000001'), 'not_an_integer', '/object_ids/0'],
    ['a tiny number', ids('1e-400'), 'not_an_integer', '/object_ids/0'],
    ['one beyond int64', ids('9223372036854775808'), 'out_of_range', '/object_ids/0'],
    ['one below int64', ids('-9223372036854775809'), 'out_of_range', '/object_ids/0'],
    ['1e400', ids('1e400'), 'out_of_range', '/object_ids/0'],
    ['a huge exponent', ids('1e99999999999999999999'), 'out_of_range', '/object_ids/0'],
    ['100,000 digits', ids('9'.repeat(100_000)), 'out_of_range', '/object_ids/0'],
    ['1,001 ids', ids(Array.from({ length: 1001 }, (_, i) => i).join(',')), 'too_many_ids', '/object_ids'],
    ['1,001 ids in another spelling', ids(Array.from({ length: 1001 }, () => '1.0').join(',')), 'too_many_ids', '/object_ids'],
  ]
  for (const [what, text, code, pointer] of refused) {
    it(`refuses ${what}: ${code}`, () => {
      assert.throws(
        () => parse(text),
        (error: InvalidBodyError) => {
          assert.ok(error instanceof InvalidBodyError)
          assert.equal(error.code, code)
          if (pointer !== undefined) assert.equal(error.pointer, pointer)
          return true
        },
      )
    })
  }

  for (const [what, text] of [
    ['as JSON.stringify does', '{"object_ids":[1,-2]}'],
    ['with much white space', '\r\n{\t "object_ids" \t:  [\n 1 ,\n-2 ]\n }'],
  ] as const) {
    it(`returns numbers, which cost less than bigints, if the body is written ${what}`, () => {
      assert.deepEqual(parseCallback(Buffer.from(text), 10), [1, -2])
    })
  }

  for (const [found, name] of [
    ['null', 'null'],
    ['[1]', 'an array'],
    ['{"id":1}', 'an object'],
    ['"1"', 'a string'],
    ['true', 'a boolean'],
  ] as const) {
    it(`says that it found ${name} instead of an id`, () => {
      assert.throws(() => parse(ids(found)), { message: `An id is ${name}, not a number.` })
    })
  }

  it('refuses bytes that are not UTF-8', () => {
    assert.throws(() => parseCallback(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 10), { code: 'invalid_encoding' })
  })

  it('says what the decoder and the parser said', () => {
    for (const [body, cause] of [
      [Buffer.from([0xff]), TypeError],
      [Buffer.from('{'), SyntaxError],
    ] as const) {
      assert.throws(
        () => parseCallback(body, 10),
        (error: InvalidBodyError) => error.cause instanceof cause,
      )
    }
  })

  it('takes as long for hostile numbers as for others of their length', () => {
    const started = performance.now()
    assert.throws(() => parse(ids(`1${'0'.repeat(60_000)}1`)), { code: 'out_of_range' })
    assert.throws(() => parse(ids(`0.${'0'.repeat(60_000)}1`)), { code: 'not_an_integer' })
    assert.ok(performance.now() - started < 500, `took ${performance.now() - started} ms`)
  })

  it('returns exactly the ids that were written, for any int64', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 50 }), written => {
        assert.deepEqual(parse(ids(written.join(','))), [...new Set(written)])
      }),
    )
  })

  it('returns ids or throws a coded refusal for any JSON value', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.json().map(value => `{"object_ids":${value}}`),
          fc.string(),
        ),
        text => {
          try {
            assert.ok(parse(text).every(id => typeof id === 'bigint'))
          } catch (error) {
            assert.ok(error instanceof InvalidBodyError, String(error))
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
