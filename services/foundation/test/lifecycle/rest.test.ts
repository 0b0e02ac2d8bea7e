import assert from 'node:assert/strict'
import { Rests, rest } from '../../lifecycle/rest.ts'

const HOUR_MS = 3_600_000

/** Counts the timers that keep the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length

describe('Rests', () => {
  it('makes each rest last its own time', async () => {
    const rests = new Rests()
    const started = performance.now()
    await Promise.all([rests.rest(1), rests.rest(30)])
    assert.ok(performance.now() - started >= 29)
  })

  it('ends all rests under way, but none that begins later', async () => {
    const rests = new Rests()
    const underWay = Promise.all(Array.from({ length: 10_000 }, () => rests.rest(HOUR_MS)))
    rests.endAll()
    await underWay
    const later = await Promise.race([rests.rest(HOUR_MS).then(() => 'ended'), new Promise(resolve => setTimeout(resolve, 20, 'rests'))])
    assert.equal(later, 'rests')
    rests.endAll()
  })

  it('keeps nothing after a rest is over', async () => {
    const rests = new Rests()
    const long = rests.rest(HOUR_MS)
    await rests.rest(1)
    assert.equal(rests.underWay, 1)
    rests.endAll()
    await long
    assert.equal(rests.underWay, 0)
  })

  it('does not keep the process alive', async () => {
    const rests = new Rests()
    const before = timers()
    const long = rests.rest(HOUR_MS)
    assert.equal(timers(), before)
    rests.endAll()
    await long
  })

  it('rests long where it is asked for longer than a timer holds', async () => {
    const rests = new Rests()
    void rests.rest(2 ** 31)
    await rests.rest(20)
    assert.equal(rests.underWay, 1)
    rests.endAll()
  })
})

describe('rest', () => {
  it('rests for the given time, or until the signal', async () => {
    const stop = new AbortController()
    const started = performance.now()
    await rest(30, stop.signal)
    assert.ok(performance.now() - started >= 29)
    const long = rest(HOUR_MS, stop.signal)
    stop.abort()
    await long
  })

  it('does not keep the process alive', async () => {
    const stop = new AbortController()
    const before = timers()
    const long = rest(HOUR_MS, stop.signal)
    assert.equal(timers(), before)
    stop.abort()
    await long
  })

  it('ends early only because of its signal', async () => {
    await assert.rejects(rest(HOUR_MS, {} as AbortSignal), TypeError)
  })

  it('rests long where it is asked for longer than a timer holds', async () => {
    const stop = new AbortController()
    const long = rest(2 ** 31, stop.signal).then(() => 'over')
    assert.equal(await Promise.race([long, rest(20, stop.signal).then(() => 'rests')]), 'rests')
    stop.abort()
    await long
  })
})
