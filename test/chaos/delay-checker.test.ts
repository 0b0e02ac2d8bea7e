import assert from 'node:assert/strict'
import { range } from '../support/callbacks.ts'
import { checkAnswerTimes } from './delay-checker.ts'
import { found, info, ok, sent, step } from './evidence.ts'
import type { SentCallback, Transition } from './history.ts'
import type { Inflicted } from './nemesis.ts'
import { OBJECTS } from './objects.ts'

/** A fault that lasts from 10,000 to 14,000. */
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

/** Makes twenty callbacks, sent from `fromMs` on, that take `tookMs` each. */
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

  it('finds nothing if they are hardly slower', () => {
    assert.equal(delays('one object pushes back', traffic(8500, 300), traffic(11_000, 1000)), undefined)
  })

  it('ignores slow callbacks that name the objects', () => {
    const [unreliable] = OBJECTS.unreliable
    assert.equal(delays('some objects hang', traffic(8500, 300), traffic(11_000, 300), traffic(12_000, 9000, unreliable)), undefined)
  })

  it('does not judge what was slow before, nor faults of the whole client service', () => {
    assert.equal(delays('some objects err', traffic(8500, 3000), traffic(11_000, 3000)), undefined)
    assert.equal(delays('client hangs', traffic(8500, 300), traffic(11_000, 3000)), undefined)
  })

  /**
   * Makes sixty callbacks, sent from `fromMs` on to three replicas in turn. `tookMs`: the answer time of each replica; Infinity: no answer.
   */
  const answered = (fromMs: number, ...tookMs: [number, number, number]): SentCallback[] =>
    range(0, 60).map(i => {
      const answer = { replica: i % 3, tookMs: tookMs[i % 3] as number }
      const outcome = answer.tookMs === Number.POSITIVE_INFINITY ? { ...info, ...answer } : { ...ok(`${fromMs}-${i}`), ...answer }
      return sent([outcome], { key: `${fromMs}-${i}`, sentAtMs: fromMs + i * 10 })
    })
  const slow = (kind: Inflicted['kind'], ...traffics: SentCallback[][]): number => checkAnswerTimes(traffics.flat(), [fault(kind)]).length

  it('finds answers of one replica that take over 1.5 s, or do not come, during an attack', () => {
    assert.equal(slow('peers pipeline reads', answered(8500, 10, 10, 10), answered(11_000, 1600, 10, 10)), 1)
    assert.equal(slow('peers send crumbs', answered(8500, 10, 10, 10), answered(11_000, Number.POSITIVE_INFINITY, 10, 10)), 1)
  })

  it('finds nothing if they are hardly slower, were slow or missing before, or are slow everywhere, and nothing in other faults', () => {
    assert.equal(slow('peers never read', answered(8500, 10, 10, 10), answered(11_000, 1400, 10, 10)), 0)
    assert.equal(slow('peers never read', answered(8500, 900, 900, 900), answered(11_000, 3000, 10, 10)), 0)
    assert.equal(slow('peers never read', answered(8500, 10, 10, 10), answered(11_000, 1600, 1600, 1600)), 0)
    assert.equal(slow('peers never read', answered(8500, Number.POSITIVE_INFINITY, 10, 10), answered(11_000, 1600, 10, 10)), 0)
    assert.equal(slow('postgres hangs', answered(8500, 10, 10, 10), answered(11_000, 1600, 10, 10)), 0)
  })

  it('finds nothing if the replica was just told to stop', () => {
    const traffic = [...answered(8500, 10, 10, 10), ...answered(11_000, 1600, 10, 10)]
    const foundAfter = (replica: number, liftedAtMs: number): number =>
      checkAnswerTimes(traffic, [{ ...fault('terminate'), replica, startedAtMs: liftedAtMs, liftedAtMs }, fault('peers never read')]).length
    assert.deepEqual([foundAfter(0, 9900), foundAfter(1, 9900), foundAfter(0, 7900)], [0, 1, 1])
  })
})
