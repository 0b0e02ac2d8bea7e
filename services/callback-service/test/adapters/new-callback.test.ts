import assert from 'node:assert/strict'
import { keyedCallbackId } from '../../adapters/callback-id.ts'
import { columns, newCallback } from '../../adapters/new-callback.ts'

describe('a new callback', () => {
  const received = {
    workspace: 'default',
    objectIds: [2n ** 63n - 1n, 3],
    idempotencyKey: 'k',
    requestId: 'r',
    trace: { traceparent: 't', baggage: 'a=1' },
  }

  it('has its columns: ids exact and in order, and an id that its key and object ids make', () => {
    assert.deepEqual(columns(newCallback(received)), {
      id: keyedCallbackId('k', '{9223372036854775807,3}'),
      workspace: 'default',
      object_ids: '{9223372036854775807,3}',
      idempotency_key: 'k',
      request_id: 'r',
      traceparent: 't',
      baggage: 'a=1',
    })
  })

  it('has another id in another workspace', () => {
    const ids = ['default', 'shop', 'Shop'].map(workspace => newCallback({ ...received, workspace }).id)
    assert.equal(new Set(ids).size, 3)
  })

  it('has an id of its own each time without a key', () => {
    const [one, other] = [1, 2].map(() => newCallback({ ...received, idempotencyKey: undefined }).id)
    assert.notEqual(one, other)
  })
})
