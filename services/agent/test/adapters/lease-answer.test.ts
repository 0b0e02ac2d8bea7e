import assert from 'node:assert/strict'
import { parseLeases, parseProblem, parseState } from '../../adapters/lease-answer.ts'

describe('what the agent reads of an answer', () => {
  const lease = {
    location: '/v1/leases/t',
    objects: '/v1/leases/t/objects',
    object_ids: [1, 2, 1],
    attempt: 2,
    expires_in_seconds: 29.5,
  }
  const listOf = (changes: object): string => JSON.stringify({ kind: 'LeaseList', items: [{ ...lease, ...changes }] })

  it('has distinct ids in their order, and the duration of the lease', () => {
    const [read] = parseLeases(listOf({ request_id: 'r', traceparent: '00-a-b-01' })) ?? []
    assert.deepEqual([read?.objectIds, read?.durationMs, read?.attempt, read?.requestId], [[1n, 2n], 29_500, 2, 'r'])
    assert.equal(read?.trace.traceparent, '00-a-b-01')
  })

  it('has exact ids beyond 2^53, also among strings of digits', () => {
    const text = listOf({ request_id: '1234567890123456789' }).replace(
      '[1,2,1]',
      '[9223372036854775807,-9223372036854775808,9007199254740993]',
    )
    assert.deepEqual(parseLeases(text)?.[0]?.objectIds, [9223372036854775807n, -9223372036854775808n, 9007199254740993n])
  })

  it('allows the workspace in the paths', () => {
    assert.equal(parseLeases(listOf({ location: '/v1/leases/t?workspace_id=a-b_C' }))?.[0]?.location, '/v1/leases/t?workspace_id=a-b_C')
  })

  it('is refused if it is not a list of leases', () => {
    const wrong = [
      '',
      'null',
      '[]',
      '{"items":[{}]}',
      '{"items":'.repeat(100_000),
      listOf({ object_ids: [1.5] }),
      listOf({ object_ids: ['1'] }),
      listOf({}).replace('[1,2,1]', '[9223372036854775808]'),
      listOf({}).replace('[1,2,1]', '[1e300]'),
      listOf({ location: '//evil.example/v1' }),
      listOf({ location: 'http://evil.example/v1' }),
      listOf({ objects: '/v1/../admin' }),
      listOf({ objects: '/v1/leases/t\r\nX-Header: 1' }),
      listOf({ objects: '/v1/leases/t?workspace_id=a&b=c' }),
      listOf({ expires_in_seconds: 0 }),
      listOf({ attempt: 0 }),
    ]
    assert.deepEqual(
      wrong.filter(text => parseLeases(text) !== undefined),
      [],
    )
  })

  it('leaves out headers of the sender that no request can carry', () => {
    const [read] =
      parseLeases(listOf({ baggage: 'a=\r\n1', tracestate: 'x'.repeat(16_385), traceparent: 7, request_id: 'caf\u00e9' })) ?? []
    assert.deepEqual(read?.trace, { traceparent: undefined, tracestate: undefined, baggage: undefined })
    assert.equal(read?.requestId, 'caf\u00e9')
  })

  it('has the state of a callback, or the code of a problem, or nothing', () => {
    assert.equal(parseState('{"kind":"LeaseEnd","state":"completed"}'), 'completed')
    assert.equal(parseState('{"state":"A\\nB"}'), undefined)
    assert.equal(parseProblem('{"code":"lease_lost"}'), 'lease_lost')
    assert.equal(parseProblem('<html>'), undefined)
  })
})
