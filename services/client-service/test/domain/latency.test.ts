import assert from 'node:assert/strict'
import { latencyMs } from '../../domain/latency.ts'

describe('latencyMs', () => {
  it('lies between the bounds', () => {
    const latency = { minMs: 300, maxMs: 4300 }
    assert.equal(latencyMs(latency, 0), 300)
    assert.equal(latencyMs(latency, 0.5), 2300)
    assert.equal(latencyMs(latency, 1), 4300)
  })
})
