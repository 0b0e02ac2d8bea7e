import assert from 'node:assert/strict'
import { groupSize, Isolation, MIN_GUILTY_CRASHES, SUSPECT_CRASHES } from '../../../domain/processing/suspicion.ts'

const PROBATION_MS = 2000
const MAX_CRASHES = 8
const OTHERS = { take: 'others', suspectsWait: false }

describe('suspicion', () => {
  it('puts suspects into ever smaller groups, and leaves the last ones alone', () => {
    assert.deepEqual(
      [3, 4, 5, 6, 7].map(crashes => groupSize(crashes)),
      [16, 4, 1, 1, 1],
    )
    assert.equal(groupSize(MIN_GUILTY_CRASHES - 1), 1, 'the crash that shows who is guilty happened to one that ran alone')
    assert.notEqual(groupSize(MIN_GUILTY_CRASHES - 2), 1, 'the crash before that happened to a group')
  })
})

describe('Isolation', () => {
  let ageMs: number
  let isolation: Isolation

  beforeEach(() => {
    ageMs = 60_000
    isolation = new Isolation({ probationMs: PROBATION_MS, maxCrashes: MAX_CRASHES, ageMs: () => ageMs })
  })

  it('claims other callbacks while there are no suspects', () => {
    assert.deepEqual(isolation.turn(0), OTHERS)
    assert.deepEqual(isolation.turn(50), OTHERS)
  })

  it('claims nothing until the running callbacks have ended, then one group and nothing beside it', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.deepEqual(isolation.turn(3), { take: 'nothing' })
    assert.deepEqual(isolation.turn(1), { take: 'nothing' })
    assert.deepEqual(isolation.turn(0), { take: 'suspects', crashes: SUSPECT_CRASHES, callbacks: 16 })
    assert.deepEqual(isolation.turn(16), { take: 'nothing' })
    assert.deepEqual(isolation.turn(2), { take: 'nothing' })
  })

  it('gives the other callbacks as much time as the group took, including the wait, before the next one', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    isolation.turn(3)
    ageMs += 1000
    isolation.turn(0)
    ageMs += 2000
    assert.deepEqual(isolation.turn(0), OTHERS)
    isolation.noteSuspects(SUSPECT_CRASHES)
    ageMs += 2999
    assert.deepEqual(isolation.turn(32), { take: 'others', suspectsWait: true })
    ageMs += 1
    assert.deepEqual(isolation.turn(32), { take: 'nothing' })
    assert.equal(isolation.turn(0).take, 'suspects')
  })

  it('starts the next group at once if there is nothing else to do', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    isolation.turn(0)
    ageMs += 2000
    isolation.turn(16)
    assert.deepEqual(isolation.turn(0), { take: 'others', suspectsWait: true })
    assert.equal(isolation.turn(0).take, 'suspects')
  })

  it('doubles the group size after each group without a crash', () => {
    isolation.noteSuspects(5)
    assert.deepEqual(sizesOfGroups(6), [1, 2, 4, 8, 16, 16])
  })

  it('runs a suspect alone if the next crash would condemn it, whatever has ended without a crash', () => {
    isolation.noteSuspects(5)
    sizesOfGroups(3)
    isolation.noteSuspects(MAX_CRASHES - 1)
    assert.deepEqual(sizesOfGroups(2), [1, 1])
  })

  it('does not call a group harmless that has not ended', () => {
    isolation.noteSuspects(4)
    isolation.turn(0)
    ageMs += 5000
    assert.equal(isolation.turn(4).take, 'others')
    ageMs += 5000
    isolation.noteSuspects(4)
    assert.deepEqual(sizesOfGroups(1), [4])
  })

  /** Runs groups one after the other. @returns their sizes */
  function sizesOfGroups(groups: number): number[] {
    return Array.from({ length: groups }, () => {
      const turn = isolation.turn(0)
      assert.equal(turn.take, 'suspects')
      isolation.turn(1)
      return turn.take === 'suspects' ? turn.callbacks : 0
    })
  }

  it('makes the others wait for at most five seconds, unless a suspect is alone', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    isolation.turn(0)
    ageMs += 4999
    assert.deepEqual(isolation.turn(16), { take: 'nothing' })
    ageMs += 1
    assert.deepEqual(isolation.turn(16), OTHERS)
    ageMs += 60_000
    isolation.noteSuspects(MIN_GUILTY_CRASHES - 1)
    assert.equal(isolation.turn(0).take, 'suspects')
    ageMs += 60_000
    assert.deepEqual(isolation.turn(1), { take: 'nothing' })
  })

  it('continues with the others if another worker took the group', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.equal(isolation.turn(0).take, 'suspects')
    assert.deepEqual(isolation.turn(0), OTHERS)
  })

  for (const [crashes, probation] of [
    [3, 2000],
    [4, 4000],
    [6, 16_000],
    [20, 32_000],
  ] as const) {
    it(`leaves suspects of ${crashes} crashes to a process that has lived for ${probation} ms`, () => {
      isolation.noteSuspects(crashes)
      ageMs = probation - 1
      assert.deepEqual(isolation.turn(0), OTHERS)
      ageMs = probation
      assert.equal(isolation.turn(0).take, 'suspects')
    })
  }

  it('continues with the others if the suspects are gone before the running callbacks have ended', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.deepEqual(isolation.turn(3), { take: 'nothing' })
    isolation.noteSuspects(undefined)
    assert.deepEqual(isolation.turn(0), OTHERS)
  })
})
