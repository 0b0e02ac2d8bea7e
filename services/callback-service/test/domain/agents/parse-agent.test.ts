import assert from 'node:assert/strict'
import { parseAgent, parseAgentChanges } from '../../../domain/agents/parse-agent.ts'
import { InvalidBodyError } from '../../../domain/json-body.ts'

const parse = (text: string) => parseAgent(Buffer.from(text))
const change = (text: string) => parseAgentChanges(Buffer.from(text))

describe('parseAgent', () => {
  it('gives what is absent or null its default', () => {
    const expected = { name: 'gateway 1', description: '', labels: [], maxLeases: 16 }
    assert.deepEqual(parse('{"name":"gateway 1"}'), expected)
    assert.deepEqual(parse('{"name":"gateway 1","description":null,"labels":null,"max_leases":null}'), expected)
  })

  it('reads every member, and drops labels that come twice', () => {
    assert.deepEqual(parse('{"name":"ß","description":"Halle 3","labels":["a","site=7:x/y","a"],"max_leases":1e3}'), {
      name: 'ß',
      description: 'Halle 3',
      labels: ['a', 'site=7:x/y'],
      maxLeases: 1000,
    })
  })

  it('takes a name of 64 characters, as readers count them', () => assert.equal(parse(`{"name":"${'😀'.repeat(64)}"}`).name.length, 128))

  const refused: [text: string, code: string, pointer: string][] = [
    ['{}', 'missing_member', '/name'],
    ['{"name":null}', 'wrong_type', '/name'],
    ['{"name":7}', 'wrong_type', '/name'],
    ['{"name":""}', 'invalid_value', '/name'],
    ['{"name":" "}', 'invalid_value', '/name'],
    ['{"name":" a"}', 'invalid_value', '/name'],
    ['{"name":"a\\n"}', 'invalid_value', '/name'],
    ['{"name":"a\\u0000b"}', 'invalid_value', '/name'],
    ['{"name":"\\ud800"}', 'invalid_value', '/name'],
    [`{"name":"${'x'.repeat(65)}"}`, 'invalid_value', '/name'],
    [`{"name":"a","description":"${'x'.repeat(501)}"}`, 'invalid_value', '/description'],
    ['{"name":"a","labels":"a"}', 'wrong_type', '/labels'],
    ['{"name":"a","labels":["ok",1]}', 'wrong_type', '/labels/1'],
    ['{"name":"a","labels":[""]}', 'invalid_value', '/labels/0'],
    ['{"name":"a","labels":["-a"]}', 'invalid_value', '/labels/0'],
    ['{"name":"a","labels":["a b"]}', 'invalid_value', '/labels/0'],
    ['{"name":"a","labels":["a\\n"]}', 'invalid_value', '/labels/0'],
    [`{"name":"a","labels":["${'x'.repeat(64)}"]}`, 'invalid_value', '/labels/0'],
    [JSON.stringify({ name: 'a', labels: Array.from({ length: 17 }, (_, i) => `l${i}`) }), 'out_of_range', '/labels'],
    ['{"name":"a","max_leases":0}', 'out_of_range', '/max_leases'],
    ['{"name":"a","max_leases":1001}', 'out_of_range', '/max_leases'],
    ['{"name":"a","max_leases":1.5}', 'not_an_integer', '/max_leases'],
    ['{"name":"a","max_leases":"1"}', 'wrong_type', '/max_leases'],
    ['{"name":"a","key":"x"}', 'unknown_member', '/key'],
    ['{"name":"a","name":"b"}', 'duplicate_member', '/name'],
    ['{"name":"a","__proto__":{}}', 'unknown_member', '/__proto__'],
  ]
  for (const [text, code, pointer] of refused) {
    it(`refuses ${text.slice(0, 60)}`, () => {
      assert.throws(
        () => parse(text),
        (error: InvalidBodyError) => {
          assert.ok(error instanceof InvalidBodyError, String(error))
          assert.deepEqual([error.code, error.pointer], [code, pointer])
          return true
        },
      )
    })
  }
})

describe('parseAgentChanges', () => {
  it('reads only what is there', () => {
    assert.deepEqual(change('{}'), {})
    assert.deepEqual(change('{"labels":[],"max_leases":null}'), { labels: [], maxLeases: 16 })
  })

  it('takes no name away', () => assert.throws(() => change('{"name":null}'), { code: 'wrong_type' }))
})
