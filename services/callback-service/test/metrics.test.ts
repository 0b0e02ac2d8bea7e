import assert from 'node:assert/strict'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { callbackMetrics } from '../metrics.ts'

it('the metrics count the callbacks that went to the spool, and those that left it', async () => {
  const registry = createRegistry()
  const metrics = callbackMetrics(registry)
  metrics.onEvent({ event: 'spooled', count: 3 })
  metrics.onEvent({ event: 'drained', count: 2 })
  const text = await registry.metrics()
  assert.match(text, /^callbacks_spooled_total 3$/m)
  assert.match(text, /^callbacks_drained_total 2$/m)
})

describe('the metrics of workspaces', () => {
  it('count what a workspace sent and what became of it', async () => {
    const registry = createRegistry()
    const metrics = callbackMetrics(registry)
    metrics.onEvent({ event: 'answered', outcome: 'accepted', workspace: 'shop' })
    metrics.onEvent({ event: 'answered', outcome: 'accepted', workspace: 'shop' })
    metrics.onEvent({ event: 'answered', outcome: 'overloaded', workspace: '' })
    metrics.onEvent(settled('failed', 'shop'))
    const text = await registry.metrics()
    assert.match(text, /^callbacks_received_total\{outcome="accepted",workspace="shop"\} 2$/m)
    assert.match(text, /^callbacks_received_total\{outcome="overloaded",workspace="unknown"\} 1$/m)
    assert.match(text, /^callbacks_settled_total\{state="failed",workspace="shop"\} 1$/m)
  })

  it('have at most 103 values: 100 workspaces, default, unknown and other', async () => {
    const registry = createRegistry()
    const metrics = callbackMetrics(registry)
    for (let i = 0; i < 200; i += 1) {
      metrics.onEvent({ event: 'answered', outcome: 'accepted', workspace: `workspace-${i}` })
      metrics.onEvent(settled('completed', `workspace-${199 - i}`))
    }
    for (const workspace of ['default', 'unknown']) metrics.onEvent({ event: 'answered', outcome: 'accepted', workspace })
    const text = await registry.metrics()
    const labels = new Set([...text.matchAll(/workspace="([^"]*)"/g)].map(([, label]) => label))
    assert.equal(labels.size, 103)
    assert.match(text, /^callbacks_received_total\{outcome="accepted",workspace="other"\} 100$/m)
    assert.match(text, /^callbacks_settled_total\{state="completed",workspace="other"\} 100$/m)
  })

  it('say whose callbacks wait, and forget who has none any more', async () => {
    const registry = createRegistry()
    const metrics = callbackMetrics(registry)
    const backlog = async (): Promise<string[]> => (await registry.metrics()).match(/^callbacks_backlog.*$/gm) ?? []
    const before = await backlog()
    metrics.countBacklog(new Map(Array.from({ length: 101 }, (_, i) => [`workspace-${i}`, i + 1])))
    metrics.countBacklog(
      new Map([
        ['workspace-7', 3],
        ['workspace-100', 4],
        ['new', 5],
      ]),
    )
    assert.deepEqual(before, ['callbacks_backlog{workspace="default"} 0'])
    assert.deepEqual(await backlog(), [
      'callbacks_backlog{workspace="default"} 0',
      'callbacks_backlog{workspace="workspace-7"} 3',
      'callbacks_backlog{workspace="other"} 9',
    ])
  })
})

function settled(state: 'completed' | 'failed', workspace: string): CallbackEvent {
  return { event: 'settled', id: 'a', workspace, attempt: 1, state, objects: 1, waitedMs: 0, workedMs: 0 }
}
