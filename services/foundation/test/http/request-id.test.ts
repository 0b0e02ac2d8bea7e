import assert from 'node:assert/strict'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { requestIdOf, withRequestId } from '../../http/request-id.ts'

describe('a request id', () => {
  it('is found in the context it was put into, and not in the one that came from', () => {
    const inside = withRequestId(ROOT_CONTEXT, 'request-7')
    assert.deepEqual([requestIdOf(inside), requestIdOf(ROOT_CONTEXT)], ['request-7', undefined])
  })
})
