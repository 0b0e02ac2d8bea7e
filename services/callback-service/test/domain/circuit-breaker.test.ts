import assert from 'node:assert/strict'
import { CircuitBreaker, type Pass } from '../../domain/circuit-breaker.ts'

function setup() {
  let now = 0
  const breaker = new CircuitBreaker({ failureThreshold: 3, openMs: 1000, maxOpenMs: 3000, maxPauseMs: 5000, nowMs: () => now })
  const admit = (): Pass => {
    const pass = breaker.admit()
    assert.ok(pass, 'expected to be admitted')
    return pass
  }
  const fail = (times: number): void => {
    for (let i = 0; i < times; i += 1) breaker.report(admit(), 'failed')
  }
  return {
    breaker,
    admit,
    fail,
    advance: (ms: number) => {
      now += ms
    },
  }
}

describe('CircuitBreaker', () => {
  it('opens after so many failures in a row, not before', () => {
    const { breaker, admit, fail } = setup()
    fail(2)
    breaker.report(admit(), 'succeeded')
    fail(2)
    assert.equal(breaker.state, 'closed')
    fail(1)
    assert.equal(breaker.state, 'open')
    assert.equal(breaker.admit(), undefined)
    assert.equal(breaker.waitMs, 1000)
  })

  it('lets one probe out when its time is over, and closes when that succeeds', () => {
    const { breaker, admit, fail, advance } = setup()
    fail(3)
    advance(1000)
    assert.equal(breaker.state, 'half-open')
    const probe = admit()
    assert.equal(probe.isProbe, true)
    assert.equal(breaker.admit(), undefined)
    breaker.report(probe, 'succeeded')
    assert.equal(breaker.state, 'closed')
    assert.equal(admit().isProbe, false)
  })

  it('stays open longer after each failed probe, up to a bound', () => {
    const { breaker, admit, fail, advance } = setup()
    fail(3)
    for (const expected of [2000, 3000, 3000]) {
      advance(breaker.waitMs)
      breaker.report(admit(), 'failed')
      assert.equal(breaker.waitMs, expected)
    }
  })

  it('lets another probe out when one was abandoned', () => {
    const { breaker, admit, fail, advance } = setup()
    fail(3)
    advance(1000)
    breaker.report(admit(), 'abandoned')
    assert.equal(admit().isProbe, true)
  })

  it('takes no notice of answers to requests that left before it opened', () => {
    const { breaker, admit, fail, advance } = setup()
    const [late, later] = [admit(), admit()]
    fail(3)
    breaker.report(late, 'succeeded')
    assert.equal(breaker.state, 'open')
    advance(1000)
    admit()
    breaker.report(later, 'failed')
    assert.equal(breaker.state, 'half-open')
  })

  it('pauses everything for as long as the host asks, within a bound', () => {
    const { breaker, admit, advance } = setup()
    breaker.pause(2000)
    breaker.pause(1000)
    assert.equal(breaker.waitMs, 2000)
    assert.equal(breaker.admit(), undefined)
    advance(2000)
    admit()
    breaker.pause(1e9)
    assert.equal(breaker.waitMs, 5000)
  })
})
