import assert from 'node:assert/strict'
import { readDateTime } from '#foundation/http/query.ts'
import { InvalidBodyError } from '../../../domain/json-body.ts'
import { parseOperation } from '../../../domain/steering/parse-operation.ts'

const parse = (body: object | string) => parseOperation(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), readDateTime)

function refusal(body: object | string): readonly [string, string | undefined] {
  try {
    parse(body)
  } catch (error) {
    assert.ok(error instanceof InvalidBodyError)
    return [error.code, error.pointer]
  }
  return assert.fail('it was not refused')
}

const NO_FILTER = { state: undefined, reason: undefined, objectId: undefined, receivedAfter: undefined, receivedBefore: undefined }

describe('parseOperation', () => {
  it('reads a retry as one of the missing objects of failed callbacks, after new callbacks', () => {
    assert.deepEqual(parse({ kind: 'retry' }), {
      change: { kind: 'retry', objects: 'missing', priority: -10 },
      filter: { ...NO_FILTER, state: 'failed' },
      isDryRun: false,
      ratePerSecond: undefined,
    })
  })

  it('reads every member', () => {
    const filter = { state: 'completed', reason: 'http_500', object_id: -7, received_after: '2026-01-01T00:00:00Z' }
    const body = { kind: 'retry', filter: { ...filter, received_before: '2026-01-01T01:00:00+01:00' }, dry_run: true }
    const at = new Date('2026-01-01T00:00:00Z')
    assert.deepEqual(parse({ ...body, rate_per_second: 0.5, priority: 3, objects: 'all' }), {
      change: { kind: 'retry', objects: 'all', priority: 3 },
      filter: { state: 'completed', reason: 'http_500', objectId: -7n, receivedAfter: at, receivedBefore: at },
      isDryRun: true,
      ratePerSecond: 0.5,
    })
  })

  it('lets retried callbacks keep their priority, and takes no limit, for null', () => {
    const { change, ratePerSecond } = parse({ kind: 'retry', priority: null, rate_per_second: null })
    assert.deepEqual([change, ratePerSecond], [{ kind: 'retry', objects: 'missing' }, null])
  })

  for (const kind of ['pause', 'resume', 'cancel']) {
    it(`selects callbacks of every state for ${kind}`, () => {
      assert.deepEqual(parse({ kind }), { change: { kind }, filter: NO_FILTER, isDryRun: false, ratePerSecond: undefined })
    })
  }

  it('reads an id beyond 2^53 from a string', () => {
    assert.equal(parse({ kind: 'cancel', filter: { object_id: '9223372036854775807' } }).filter.objectId, 2n ** 63n - 1n)
  })

  for (const [body, code, pointer] of [
    ['[]', 'not_an_object', ''],
    ['{"kind":"retry","kind":"cancel"}', 'duplicate_member', '/kind'],
    [{}, 'missing_member', '/kind'],
    [{ kind: 'delete' }, 'invalid_value', '/kind'],
    [{ kind: 'toString' }, 'invalid_value', '/kind'],
    [{ kind: 7 }, 'wrong_type', '/kind'],
    [{ kind: 'retry', filters: {} }, 'unknown_member', '/filters'],
    [{ kind: 'retry', filter: { status: 'failed' } }, 'unknown_member', '/filter/status'],
    [{ kind: 'retry', filter: null }, 'wrong_type', '/filter'],
    [{ kind: 'retry', filter: { state: 'gone' } }, 'invalid_value', '/filter/state'],
    [{ kind: 'retry', filter: { state: 'pending' } }, 'invalid_value', '/filter/state'],
    [{ kind: 'cancel', filter: { state: 'running' } }, 'invalid_value', '/filter/state'],
    [{ kind: 'pause', filter: { state: 'paused' } }, 'invalid_value', '/filter/state'],
    [{ kind: 'prioritise', priority: 1, filter: { state: 'failed' } }, 'invalid_value', '/filter/state'],
    [{ kind: 'retry', filter: { reason: "x' OR 1=1" } }, 'invalid_value', '/filter/reason'],
    [{ kind: 'retry', filter: { object_id: 1.5 } }, 'not_an_integer', '/filter/object_id'],
    ['{"kind":"retry","filter":{"object_id":9007199254740993}}', 'out_of_range', '/filter/object_id'],
    [{ kind: 'retry', filter: { object_id: '9223372036854775808' } }, 'invalid_value', '/filter/object_id'],
    [{ kind: 'retry', filter: { received_after: '2026-01-01' } }, 'invalid_value', '/filter/received_after'],
    [
      { kind: 'retry', filter: { received_after: '2026-01-02T00:00:00Z', received_before: '2026-01-01T00:00:00Z' } },
      'invalid_value',
      '/filter/received_after',
    ],
    [{ kind: 'retry', dry_run: 'yes' }, 'wrong_type', '/dry_run'],
    [{ kind: 'retry', rate_per_second: 0 }, 'out_of_range', '/rate_per_second'],
    [{ kind: 'retry', rate_per_second: -1 }, 'out_of_range', '/rate_per_second'],
    [{ kind: 'prioritise' }, 'missing_member', '/priority'],
    [{ kind: 'prioritise', priority: null }, 'missing_member', '/priority'],
    [{ kind: 'prioritise', priority: 101 }, 'out_of_range', '/priority'],
    [{ kind: 'prioritise', priority: 1.5 }, 'not_an_integer', '/priority'],
    [{ kind: 'cancel', priority: 1 }, 'unknown_member', '/priority'],
    [{ kind: 'cancel', objects: 'all' }, 'unknown_member', '/objects'],
    [{ kind: 'retry', objects: 'some' }, 'invalid_value', '/objects'],
  ] as const) {
    it(`refuses ${typeof body === 'string' ? body : JSON.stringify(body)} with ${code}`, () => {
      assert.deepEqual(refusal(body), [code, pointer])
    })
  }
})
