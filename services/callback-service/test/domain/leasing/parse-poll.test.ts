import assert from 'node:assert/strict'
import { parsePoll } from '../../../domain/leasing/parse-poll.ts'

const parse = (text: string) => parsePoll(new TextEncoder().encode(text))

describe('parsePoll', () => {
  it('asks for one callback at once if the request has no body, or an empty object', () => {
    const usual = { waitMs: 0, maxCallbacks: 1, maxObjects: 1000, version: undefined }
    assert.deepEqual(parsePoll(undefined), usual)
    assert.deepEqual(parse('{}'), usual)
  })

  it('reads all members up to their bounds', () => {
    assert.deepEqual(parse('{"wait_seconds":60,"max_callbacks":100,"max_objects":10000,"version":"agent 1.2"}'), {
      ...{ waitMs: 60_000, maxCallbacks: 100 },
      ...{ maxObjects: 10_000, version: 'agent 1.2' },
    })
  })

  for (const [body, code] of [
    ['{"wait_seconds":61}', 'out_of_range'],
    ['{"wait_seconds":-1}', 'out_of_range'],
    ['{"wait_seconds":1e999}', 'out_of_range'],
    ['{"wait_seconds":"60"}', 'wrong_type'],
    ['{"wait_seconds":null}', 'wrong_type'],
    ['{"max_callbacks":0}', 'out_of_range'],
    ['{"max_callbacks":101}', 'out_of_range'],
    ['{"max_callbacks":1.5}', 'not_an_integer'],
    ['{"max_objects":10001}', 'out_of_range'],
    ['{"version":"a\\nb"}', 'invalid_value'],
    [`{"version":"${'x'.repeat(65)}"}`, 'invalid_value'],
    ['{"wait":1}', 'unknown_member'],
    ['{"max_callbacks":1,"max_callbacks":2}', 'duplicate_member'],
    ['[]', 'not_an_object'],
    ['{"max_callbacks":', 'invalid_json'],
  ] as const)
    it(`refuses ${body.slice(0, 40)}`, () => {
      assert.throws(() => parse(body), { code })
    })
})
