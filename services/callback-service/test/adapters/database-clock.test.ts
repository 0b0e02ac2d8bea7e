import assert from 'node:assert/strict'
import { DatabaseClock } from '../../adapters/database-clock.ts'

/** When this process began, by the clock of a database that is some time apart from ours. */
const EPOCH_MS = 1_700_000_000_000

describe('DatabaseClock', () => {
  let clock: DatabaseClock
  let nowMs: number
  let databaseDriftMs: number

  beforeEach(() => {
    clock = new DatabaseClock()
    nowMs = 1000
    databaseDriftMs = 0
    // An own property in front of the inherited one.
    Object.defineProperty(performance, 'now', { configurable: true, value: () => nowMs })
  })

  afterEach(() => {
    Reflect.deleteProperty(performance, 'now')
  })

  const databaseMs = (): number => EPOCH_MS + nowMs + databaseDriftMs

  /** The database reads its clock, and its answer takes a while. */
  function ask(answerTakesMs: number): void {
    const told = databaseMs()
    nowMs += answerTakesMs
    clock.observe(told)
  }

  it('tells the time of this machine before the database has told its own, and does not stick to it', () => {
    assert.ok(Math.abs(clock.nowMs() - Date.now()) < 1000)
    ask(3)
    assert.equal(clock.nowMs(), databaseMs() - 3)
  })

  it('is behind by what the answer took, and goes on', () => {
    ask(3)
    assert.equal(clock.nowMs(), databaseMs() - 3)
    nowMs += 500
    assert.equal(clock.nowMs(), databaseMs() - 3)
  })

  it('believes the fastest answer, and moves a little towards slower ones', () => {
    ask(40)
    ask(2)
    assert.equal(clock.nowMs(), databaseMs() - 2)
    ask(102)
    assert.equal(databaseMs() - clock.nowMs(), 3)
  })

  it('is never ahead of the database and never goes back, whatever the answers take', () => {
    let last = 0
    for (let i = 0; i < 1000; i += 1) {
      ask((i * 7919) % 97)
      nowMs += (i * 104_729) % 13
      const time = clock.nowMs()
      assert.ok(time <= databaseMs() && time >= last, `${i}: ${time}`)
      last = time
    }
  })

  it('stands still where the clock of the database went back, until that has caught up', () => {
    ask(1)
    const before = clock.nowMs()
    databaseDriftMs = -50
    for (let i = 0; i < 1000; i += 1) ask(0.01)
    assert.equal(clock.nowMs(), before)
    nowMs += 100
    assert.ok(clock.nowMs() > before)
    assert.ok(clock.nowMs() <= databaseMs() + 1)
  })

  it('follows a database whose clock goes faster or slower than ours', () => {
    ask(1)
    for (const driftMs of [0.01, -0.01]) {
      for (let i = 0; i < 2000; i += 1) {
        databaseDriftMs += driftMs
        nowMs += 100
        ask(1)
      }
      assert.ok(Math.abs(databaseMs() - clock.nowMs()) <= 2, `${databaseMs() - clock.nowMs()} ms behind`)
    }
  })
})
