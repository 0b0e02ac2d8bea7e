import assert from 'node:assert/strict'
import { fetchResult } from '../../client/fetch-result.ts'

describe('fetchResult', () => {
  it('keeps results and the statuses that have a name', () => {
    const results = ['ok', 'not_found', 'timeout', 'connection', 'invalid_answer', 'http_403', 'http_503', 'http_299x', 'no_http_299']
    assert.deepEqual(results.map(fetchResult), results)
  })

  it('gives all statuses without a name one label', () => {
    assert.deepEqual(['http_299', 'http_799', 'http_999'].map(fetchResult), ['http_other', 'http_other', 'http_other'])
  })
})
