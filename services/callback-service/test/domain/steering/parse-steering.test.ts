import assert from 'node:assert/strict'
import { InvalidBodyError } from '../../../domain/json-body.ts'
import { parseCallbackChanges, parseRetry } from '../../../domain/steering/parse-steering.ts'

const refused = (read: (body: Uint8Array) => unknown, body: string): unknown => {
  try {
    return read(Buffer.from(body))
  } catch (error) {
    assert.ok(error instanceof InvalidBodyError)
    return [error.code, error.pointer]
  }
}

describe('parseCallbackChanges', () => {
  it('reads either member or both', () => {
    for (const changes of [{ activated: false }, { priority: -100 }, { activated: true, priority: 100 }])
      assert.deepEqual(parseCallbackChanges(Buffer.from(JSON.stringify(changes))), changes)
  })

  it('reads labels, each once, or none of its own', () => {
    const read = (labels: unknown) => parseCallbackChanges(Buffer.from(JSON.stringify({ agent_labels: labels })))
    assert.deepEqual(
      [read(['a', 'b', 'a']), read([]), read(null)],
      [{ agentLabels: ['a', 'b'] }, { agentLabels: [] }, { agentLabels: null }],
    )
  })

  for (const [body, code, pointer] of [
    ['{"agent_labels":"a"}', 'wrong_type', '/agent_labels'],
    ['{"agent_labels":["a b"]}', 'invalid_value', '/agent_labels/0'],
    ['{"agentLabels":["a"]}', 'unknown_member', '/agentLabels'],
    ['{}', 'missing_member', ''],
    ['{"state":"paused"}', 'unknown_member', '/state'],
    ['{"activated":true,"state":"paused"}', 'unknown_member', '/state'],
    ['{"activated":null}', 'wrong_type', '/activated'],
    ['{"activated":"no","priority":"high"}', 'wrong_type', '/activated'],
    ['{"priority":101}', 'out_of_range', '/priority'],
    ['{"priority":-101}', 'out_of_range', '/priority'],
    ['{"priority":1e999}', 'out_of_range', '/priority'],
    ['{"priority":1.5}', 'not_an_integer', '/priority'],
    ['{"priority":1,"priority":2}', 'duplicate_member', '/priority'],
    ['[]', 'not_an_object', ''],
  ] as const) {
    it(`refuses ${body} with ${code}`, () => {
      assert.deepEqual(refused(parseCallbackChanges, body), [code, pointer])
    })
  }
})

describe('parseRetry', () => {
  it('reads which objects are meant, by default the missing ones', () => {
    assert.deepEqual(
      ['{}', '{"objects":"all"}', '{"objects":"missing"}'].map(body => parseRetry(Buffer.from(body))),
      ['missing', 'all', 'missing'],
    )
  })

  for (const [body, code] of [
    ['{"objects":"some"}', 'invalid_value'],
    ['{"objects":true}', 'wrong_type'],
    ['{"object":"all"}', 'unknown_member'],
  ] as const) {
    it(`refuses ${body} with ${code}`, () => {
      assert.equal((refused(parseRetry, body) as string[])[0], code)
    })
  }
})
