import assert from 'node:assert/strict'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { callbackMetrics } from '../metrics.ts'

describe('the metrics of workspaces', () => {
  it('count what a workspace sent and what became of it', async () => {
    const registry = createRegistry()
    const metrics = callbackMetrics(registry)
    metrics.onReceived('accepted', 'shop')
    metrics.onReceived('accepted', 'shop')
    metrics.onReceived('overloaded', 'unknown')
    metrics.onSettled('failed', 'shop')
    const text = await registry.metrics()
    assert.match(text, /^callbacks_received_total\{outcome="accepted",workspace="shop"\} 2$/m)
    assert.match(text, /^callbacks_received_total\{outcome="overloaded",workspace="unknown"\} 1$/m)
    assert.match(text, /^callbacks_settled_total\{state="failed",workspace="shop"\} 1$/m)
  })

  it('have at most 103 values: 100 workspaces, default, unknown and other', async () => {
    const registry = createRegistry()
    const metrics = callbackMetrics(registry)
    for (let i = 0; i < 200; i += 1) {
      metrics.onReceived('accepted', `workspace-${i}`)
      metrics.onSettled('completed', `workspace-${199 - i}`)
    }
    for (const workspace of ['default', 'unknown']) metrics.onReceived('accepted', workspace)
    const text = await registry.metrics()
    const labels = new Set([...text.matchAll(/workspace="([^"]*)"/g)].map(([, label]) => label))
    assert.equal(labels.size, 103)
    assert.match(text, /^callbacks_received_total\{outcome="accepted",workspace="other"\} 100$/m)
    assert.match(text, /^callbacks_settled_total\{state="completed",workspace="other"\} 100$/m)
  })
})
