import assert from 'node:assert/strict'
import { AgentRates, RATE_WINDOW_MS } from '../../web/agent-rates.ts'

describe('AgentRates', () => {
  let rates: AgentRates
  const add = (atMs: number, objects: number, id = 'a'): void => rates.add([{ id, objects_delivered: objects }], atMs)

  beforeEach(() => {
    rates = new AgentRates()
  })

  it('is the difference of the counters over the time between them', () => {
    add(1000, 500)
    add(4000, 560)
    add(11_000, 600)
    assert.equal(rates.of('a'), 10)
  })

  it('says nothing before five seconds have passed', () => {
    add(0, 500)
    add(4999, 900)
    assert.equal(rates.of('a'), undefined)
    add(5000, 900)
    assert.equal(rates.of('a'), 80)
  })

  it('forgets what is older than its window', () => {
    add(0, 0)
    add(10_000, 1000)
    add(10_000 + RATE_WINDOW_MS, 1000)
    assert.equal(rates.of('a'), 0)
  })

  it('begins again when a counter went back', () => {
    add(0, 500)
    add(10_000, 20)
    assert.equal(rates.of('a'), undefined)
    add(20_000, 120)
    assert.equal(rates.of('a'), 10)
  })

  it('keeps nothing of agents that are no longer listed', () => {
    add(0, 0)
    add(3000, 0, 'b')
    add(6000, 60)
    assert.equal(rates.of('a'), undefined)
    assert.equal(rates.of('b'), undefined)
  })
})
