import assert from 'node:assert/strict'
import { readDateTime } from '#foundation/http/query.ts'
import { InvalidBodyError } from '../../../domain/json-body.ts'
import { parseNewKey } from '../../../domain/workspaces/parse-new-key.ts'

const now = new Date('2026-11-23T10:00:00Z')
const AGENT = '01890a5d-ac96-774b-bcce-b302099a8057'
const parse = (text: string) => parseNewKey(Buffer.from(text), { now, readDateTime })

describe('parseNewKey', () => {
  for (const role of ['send', 'read', 'manage'] as const) {
    it(`accepts the role ${role}`, () => assert.deepEqual(parse(`{"role":"${role}"}`), { role, name: '', expiresAt: null, agentId: null }))
  }

  it('accepts a name and a time in the future with any offset', () => {
    assert.deepEqual(parse('{"role":"send","name":"checkout","expires_at":"2026-11-23T11:00:00.001+01:00"}'), {
      role: 'send',
      name: 'checkout',
      expiresAt: new Date('2026-11-23T10:00:00.001Z'),
      agentId: null,
    })
  })

  it('takes null for what is absent', () => {
    assert.deepEqual(parse('{"role":"send","name":null,"expires_at":null}'), { role: 'send', name: '', expiresAt: null, agentId: null })
  })

  it('accepts the role agent with the id of an agent, in lower case', () => {
    assert.deepEqual(parse(`{"role":"agent","agent":"${AGENT.toUpperCase()}"}`), {
      role: 'agent',
      name: '',
      expiresAt: null,
      agentId: AGENT,
    })
  })

  const refused: [string, string, string][] = [
    ['{}', 'missing_member', '/role'],
    ['{"role":null}', 'wrong_type', '/role'],
    ['{"role":["send"]}', 'wrong_type', '/role'],
    ['{"role":"superuser"}', 'invalid_value', '/role'],
    ['{"role":"agent"}', 'missing_member', '/agent'],
    ['{"role":"agent","agent":null}', 'missing_member', '/agent'],
    ['{"role":"agent","agent":"self"}', 'invalid_value', '/agent'],
    ['{"role":"agent","agent":7}', 'wrong_type', '/agent'],
    [`{"role":"send","agent":"${AGENT}"}`, 'invalid_value', '/agent'],
    ['{"role":"Send"}', 'invalid_value', '/role'],
    ['{"role":"toString"}', 'invalid_value', '/role'],
    ['{"role":"send","key":"ab_shop_x"}', 'unknown_member', '/key'],
    ['{"role":"send","role":"manage"}', 'duplicate_member', '/role'],
    ['{"role":"send","name":1}', 'wrong_type', '/name'],
    [`{"role":"send","name":"${'x'.repeat(101)}"}`, 'invalid_value', '/name'],
    ['{"role":"send","name":"\\u0000"}', 'invalid_value', '/name'],
    ['{"role":"send","expires_at":1800000000}', 'wrong_type', '/expires_at'],
    ['{"role":"send","expires_at":"tomorrow"}', 'invalid_value', '/expires_at'],
    ['{"role":"send","expires_at":"2027-02-30T00:00:00Z"}', 'invalid_value', '/expires_at'],
    ['{"role":"send","expires_at":"2027-01-01T00:00:00"}', 'invalid_value', '/expires_at'],
    ['{"role":"send","expires_at":"2026-11-23T10:00:00Z"}', 'out_of_range', '/expires_at'],
    ['{"role":"send","expires_at":"1970-01-01T00:00:00Z"}', 'out_of_range', '/expires_at'],
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
