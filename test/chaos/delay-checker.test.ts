import assert from 'node:assert/strict'
import { range } from '../support/callbacks.ts'
import { found, ok, sent, step } from './evidence.ts'
import type { SentCallback, Transition } from './history.ts'
import type { Inflicted } from './nemesis.ts'
import { OBJECTS } from './objects.ts'

/** From 10,000 to 14,000. */
const fault = (kind: Inflicted['kind']): Inflicted => ({
  kind,
  atMs: 0,
  forMs: 4000,
  replica: 0,
  share: 1,
  stepMs: 0,
  hasHappened: true,
  startedAtMs: 10_000,
  liftedAtMs: 14_000,
})

/** Twenty callbacks, sent from `fromMs` on, that take `tookMs` each. */
function traffic(fromMs: number, tookMs: number, objectId = 1): { sent: SentCallback[]; transitions: Transition[] } {
  const callbacks = range(0, 20).map(i => ({ id: `${fromMs}-${i}`, sentAtMs: fromMs + i * 10 }))
  return {
    sent: callbacks.map(({ id, sentAtMs }) => sent([ok(id)], { key: id, sentAtMs, objectIds: [objectId] })),
    transitions: callbacks.flatMap(({ id, sentAtMs }) => [
      step('pending', 'running', 'x', { callbackId: id, atMs: sentAtMs }),
      step('running', 'completed', 'x', { callbackId: id, atMs: sentAtMs + tookMs }),
    ]),
  }
}

describe('the checker of delays', () => {
  const delays = (kind: Inflicted['kind'], ...parts: ReturnType<typeof traffic>[]): number | undefined =>
    found({
      inflicted: [fault(kind)],
      sent: parts.flatMap(part => part.sent),
      transitions: parts.flatMap(part => part.transitions),
    }).delayed

  it('finds callbacks that take seconds while objects misbehave that they do not name', () => {
    assert.equal(delays('one object pushes back', traffic(8500, 300), traffic(11_000, 3000)), 1)
  })

  it('finds nothing where they are hardly slower', () => {
    assert.equal(delays('one object pushes back', traffic(8500, 300), traffic(11_000, 1000)), undefined)
  })

  it('does not mind that those are slow which name the objects', () => {
    const [unreliable] = OBJECTS.unreliable
    assert.equal(delays('some objects hang', traffic(8500, 300), traffic(11_000, 300), traffic(12_000, 9000, unreliable)), undefined)
  })

  it('does not judge what was slow before, nor faults of the whole client service', () => {
    assert.equal(delays('some objects err', traffic(8500, 3000), traffic(11_000, 3000)), undefined)
    assert.equal(delays('client hangs', traffic(8500, 300), traffic(11_000, 3000)), undefined)
  })
})
