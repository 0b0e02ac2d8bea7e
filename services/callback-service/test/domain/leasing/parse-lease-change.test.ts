import assert from 'node:assert/strict'
import { InvalidBodyError } from '../../../domain/json-body.ts'
import { parseLeaseChange } from '../../../domain/leasing/parse-lease-change.ts'

const parse = (text: string) => parseLeaseChange(Buffer.from(text))

describe('parseLeaseChange', () => {
  it('reads each change with its defaults', () => {
    assert.deepEqual(parse('{"extend_seconds":300}'), { kind: 'extend', seconds: 300 })
    assert.deepEqual(parse('{"state":"pending"}'), { kind: 'give_back', unstored: [], isCharged: false, retryAfterMs: 0 })
    assert.deepEqual(parse('{"state":"pending","charged":true,"retry_after_seconds":86400}'), {
      kind: 'give_back',
      unstored: [],
      isCharged: true,
      retryAfterMs: 86_400_000,
    })
    assert.deepEqual(parse('{"state":"completed"}'), { kind: 'complete', unstored: [] })
    assert.deepEqual(parse('{"state":"failed","reason":"http_401"}'), { kind: 'fail', unstored: [], reason: 'http_401' })
  })

  it('reads outcomes with exact ids, and each once', () => {
    const named = '{"id":9007199254740993,"outcome":"failed","reason":"http_400"}'
    assert.deepEqual(parse(`{"state":"completed","unstored":[${named},${named},{"id":-1e2,"outcome":"not_found"}]}`), {
      kind: 'complete',
      unstored: [
        { id: 9007199254740993n, outcome: 'failed', reason: 'http_400' },
        { id: -100n, outcome: 'not_found' },
      ],
    })
  })

  for (const [text, code, pointer] of [
    ['{}', 'missing_member', '/state'],
    ['[]', 'not_an_object', ''],
    ['{"state":"pending"', 'invalid_json', undefined],
    ['{"state":"running"}', 'invalid_value', '/state'],
    ['{"state":"cancelled"}', 'invalid_value', '/state'],
    ['{"state":7}', 'wrong_type', '/state'],
    ['{"state":"pending","state":"failed"}', 'duplicate_member', '/state'],
    ['{"extend_seconds":0}', 'out_of_range', '/extend_seconds'],
    ['{"extend_seconds":301}', 'out_of_range', '/extend_seconds'],
    ['{"extend_seconds":1.5}', 'not_an_integer', '/extend_seconds'],
    ['{"extend_seconds":30,"state":"pending"}', 'unknown_member', '/state'],
    ['{"state":"completed","charged":true}', 'unknown_member', '/charged'],
    ['{"state":"completed","reason":"http_400"}', 'unknown_member', '/reason'],
    ['{"state":"failed"}', 'missing_member', '/reason'],
    ['{"state":"failed","reason":""}', 'invalid_value', '/reason'],
    ['{"state":"failed","reason":"It Broke"}', 'invalid_value', '/reason'],
    ['{"state":"failed","reason":"a\\u0000"}', 'invalid_value', '/reason'],
    ['{"state":"pending","retry_after_seconds":-1}', 'out_of_range', '/retry_after_seconds'],
    ['{"state":"pending","charged":"yes"}', 'wrong_type', '/charged'],
    ['{"state":"completed","unstored":{}}', 'wrong_type', '/unstored'],
    ['{"state":"completed","unstored":[7]}', 'wrong_type', '/unstored/0'],
    ['{"state":"completed","unstored":[{"outcome":"not_found"}]}', 'missing_member', '/unstored/0/id'],
    ['{"state":"completed","unstored":[{"id":1}]}', 'missing_member', '/unstored/0/outcome'],
    ['{"state":"completed","unstored":[{"id":"1","outcome":"not_found"}]}', 'wrong_type', '/unstored/0/id'],
    ['{"state":"completed","unstored":[{"id":1.5,"outcome":"not_found"}]}', 'not_an_integer', '/unstored/0/id'],
    ['{"state":"completed","unstored":[{"id":9223372036854775808,"outcome":"not_found"}]}', 'out_of_range', '/unstored/0/id'],
    ['{"state":"completed","unstored":[{"id":1,"outcome":"offline"}]}', 'invalid_value', '/unstored/0/outcome'],
    ['{"state":"completed","unstored":[{"id":1,"outcome":"failed"}]}', 'missing_member', '/unstored/0/reason'],
    ['{"state":"completed","unstored":[{"id":1,"outcome":"not_found","reason":"x"}]}', 'unknown_member', '/unstored/0/reason'],
    ['{"state":"completed","unstored":[{"id":1,"outcome":"pending","reason":"x"}]}', 'invalid_value', '/unstored/0/outcome'],
    [
      '{"state":"completed","unstored":[{"id":1,"outcome":"not_found"},{"id":1.0,"outcome":"failed","reason":"x"}]}',
      'invalid_value',
      '/unstored/1',
    ],
  ] as const) {
    it(`refuses ${text} with ${code}`, () => {
      assert.throws(
        () => parse(text),
        (error: unknown) => error instanceof InvalidBodyError && error.code === code && error.pointer === pointer,
      )
    })
  }
})
