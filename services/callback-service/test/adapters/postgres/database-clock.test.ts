import assert from 'node:assert/strict'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'

/** The start of this process by the clock of the database, which differs from ours. */
const EPOCH_MS = 1_700_000_000_000

describe('DatabaseClock', () => {
  let clock: DatabaseClock
  let nowMs: number
  let offsetMs: number

  beforeEach(() => {
    clock = new DatabaseClock()
    nowMs = 1000
    offsetMs = 0
    // This own property hides the inherited one.
    Object.defineProperty(performance, 'now', { configurable: true, value: () => nowMs })
  })

  afterEach(() => {
    Reflect.deleteProperty(performance, 'now')
  })

  const databaseMs = (): number => EPOCH_MS + nowMs + offsetMs

  /** Sends a statement, lets the database read its clock, and receives the answer. Both ways take time. */
  function ask(answerTakesMs: number, questionTakesMs = 0): void {
    const sentMs = nowMs
    nowMs += questionTakesMs
    const told = databaseMs()
    nowMs += answerTakesMs
    clock.observe(told, sentMs)
  }

  it('gives the time of this machine before the first observation, and drops it after that', () => {
    assert.ok(Math.abs(clock.nowMs() - Date.now()) < 1000)
    assert.ok(Math.abs(clock.at(nowMs - 60_000) - (Date.now() - 60_000)) < 1000)
    assert.ok(clock.latestNowMs() > Date.now() + 1e12)
    assert.equal(clock.earliestNowMs(), Number.NEGATIVE_INFINITY)
    ask(3)
    assert.equal(clock.nowMs(), databaseMs() - 3)
  })

  it('is behind by the duration of the answer, and advances', () => {
    ask(3)
    nowMs += 500
    assert.equal(clock.nowMs(), databaseMs() - 3)
  })

  it('bounds the latest time by the duration of the question, plus the time that a statement may take to begin', () => {
    ask(3, 20)
    assert.equal(clock.latestNowMs(), databaseMs() + 120)
  })

  it('trusts the fastest answer, and forgets it no faster than clocks drift', () => {
    ask(40)
    ask(2)
    assert.equal(clock.nowMs(), databaseMs() - 2)
    ask(102)
    assert.ok(databaseMs() - clock.nowMs() < 2.2, `${databaseMs() - clock.nowMs()} ms behind`)
  })

  it('is never ahead of the database and never goes back, whatever the answers take', () => {
    let last = 0
    for (let i = 0; i < 1000; i += 1) {
      ask((i * 7919) % 97, (i * 31) % 53)
      nowMs += (i * 104_729) % 13
      const time = clock.nowMs()
      assert.ok(
        time <= databaseMs() && time >= last && clock.latestNowMs() >= databaseMs() && clock.earliestNowMs() <= databaseMs(),
        `${i}: ${time}`,
      )
      last = time
    }
    assert.equal(clock.step, undefined)
  })

  it('follows a database whose clock is faster or slower than ours, and does not call that a step', () => {
    ask(1)
    for (const driftMs of [0.02, -0.02]) {
      for (let i = 0; i < 2000; i += 1) {
        offsetMs += driftMs
        nowMs += 100
        ask(1)
      }
      assert.ok(Math.abs(databaseMs() - clock.nowMs()) <= 2, `${databaseMs() - clock.nowMs()} ms behind`)
    }
    assert.equal(clock.step, undefined)
  })

  for (const byMs of [2000, -2000, 60_000, -60_000, 3_600_000, -3_600_000]) {
    it(`notices a step by ${byMs / 1000} s with the next answer, and gives the new time`, () => {
      ask(1, 1)
      const before = nowMs
      nowMs += 200
      offsetMs = byMs
      ask(2, 2)
      assert.ok(Math.abs((clock.step?.byMs ?? 0) - byMs) < 5, `${clock.step?.byMs}`)
      assert.equal(clock.step?.afterMs, before)
      assert.equal(clock.steppedAtMs, nowMs)
      assert.equal(clock.nowMs(), databaseMs() - 2)
      assert.equal(clock.at(nowMs - 100), databaseMs() - 102)
    })
  }

  for (const [byMs, isStep] of [
    [2, false],
    [-2, false],
    [2.5, true],
    [-2.5, true],
  ] as const) {
    it(`calls a difference of ${byMs} ms at one moment ${isStep ? 'a' : 'no'} step`, () => {
      ask(0)
      offsetMs = byMs
      ask(0)
      assert.equal(clock.step !== undefined, isStep)
    })
  }

  it('bounds the latest time as if a step forward had not happened, until it is made up for', () => {
    ask(1)
    offsetMs = 60_000
    ask(1)
    const before = databaseMs() - 60_000
    assert.ok(Math.abs(clock.latestNowMs() - before - 100) < 5, `${clock.latestNowMs() - before} ms ahead`)
    clock.forgetStep(clock.step?.byMs ?? 0)
    assert.ok(clock.latestNowMs() >= databaseMs())
  })

  it('does not call the drift of an hour without observations a step', () => {
    for (const [driftMs, isStep] of [
      [3500, false],
      [0, false],
      [3700, true],
    ] as const) {
      ask(0)
      nowMs += 3_600_000
      offsetMs = driftMs
      ask(0)
      assert.equal(clock.step !== undefined, isStep, `${driftMs} ms`)
    }
  })

  it('does not call a slow answer a step', () => {
    ask(1)
    for (const ms of [30, 1000, 5000]) ask(ms, ms)
    assert.equal(clock.step, undefined)
    assert.equal(clock.steppedAtMs, Number.NEGATIVE_INFINITY)
  })

  it('does not call an answer from before a step a step back', () => {
    ask(1)
    const sentMs = nowMs
    const told = databaseMs()
    offsetMs = 60_000
    nowMs += 5
    ask(1)
    nowMs += 5
    clock.observe(told, sentMs)
    assert.ok(Math.abs((clock.step?.byMs ?? 0) - 60_000) < 10)
  })

  it('adds several steps up until they are made up for', () => {
    ask(1)
    const before = nowMs
    for (const ms of [60_000, 45_000]) {
      offsetMs = ms
      ask(1)
    }
    assert.ok(Math.abs((clock.step?.byMs ?? 0) - 45_000) < 10, `${clock.step?.byMs}`)
    assert.equal(clock.step?.afterMs, before)
    clock.forgetStep(clock.step?.byMs ?? 0)
    assert.equal(clock.step, undefined)
  })

  it('remembers what came while a step was made up for', () => {
    ask(1)
    const before = nowMs
    offsetMs = 60_000
    ask(1)
    const byMs = clock.step?.byMs ?? 0
    offsetMs += 45_000
    ask(1)
    clock.forgetStep(byMs)
    assert.ok(Math.abs((clock.step?.byMs ?? 0) - 45_000) < 10, `${clock.step?.byMs}`)
    assert.equal(clock.step?.afterMs, before)
  })

  it('has nothing to forget before a step', () => {
    clock.forgetStep(60_000)
    assert.equal(clock.step, undefined)
  })
})
