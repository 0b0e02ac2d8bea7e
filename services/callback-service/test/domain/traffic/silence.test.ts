import assert from 'node:assert/strict'
import { isSilent, paceUpTo, usualGapOf } from '../../../domain/traffic/silence.ts'

const pace = (changes: Partial<Parameters<typeof usualGapOf>[0]> = {}) => ({ minutes: 15, busyMinutes: 15, received: 15, ...changes })

describe('the usual gap of a workspace', () => {
  it('is the time of its minutes, divided by its callbacks', () => {
    assert.equal(usualGapOf(pace({ received: 900 })), 1000)
    assert.equal(usualGapOf(pace({ busyMinutes: 8, received: 10 })), 90_000)
  })

  it('is not known if it received callbacks in half of the minutes or fewer', () => {
    assert.equal(usualGapOf(pace({ busyMinutes: 7, received: 1000 })), null)
    assert.equal(usualGapOf(pace({ minutes: 14, busyMinutes: 7 })), null)
    assert.equal(usualGapOf(pace({ busyMinutes: 0, received: 0 })), null)
  })

  it('is not known from fewer than ten minutes', () => {
    assert.equal(usualGapOf(pace({ minutes: 9, busyMinutes: 9 })), null)
    assert.equal(usualGapOf(pace({ minutes: 10, busyMinutes: 6, received: 6 })), 100_000)
  })
})

describe('the pace up to the last receipt', () => {
  const series = (text: string): (number | null)[] => [...text].map(each => (each === '-' ? null : Number(each)))

  it('ends with the minute of the last receipt, so that silence does not count', () => {
    assert.deepEqual(paceUpTo(series('111111111122000'), 11), { minutes: 12, busyMinutes: 12, received: 14 })
  })

  it('leaves out minutes that are not known, and those before them', () => {
    assert.deepEqual(paceUpTo(series('999--0120'), 7), { minutes: 3, busyMinutes: 2, received: 3 })
  })
})

describe('a workspace', () => {
  for (const [quietSeconds, gapSeconds, expected] of [
    [119, 1, false],
    [120, 1, true],
    [269, 90, false],
    [270, 90, true],
    [86_400, null, false],
  ] as const) {
    it(`${expected ? 'is' : 'is not'} silent after ${quietSeconds} s, if its usual gap is ${gapSeconds ?? 'not known'}`, () => {
      assert.equal(isSilent(quietSeconds * 1000, gapSeconds === null ? null : gapSeconds * 1000), expected)
    })
  }
})
