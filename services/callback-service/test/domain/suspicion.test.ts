import assert from 'node:assert/strict'
import { groupSize, Isolation, MIN_GUILTY_CRASHES, SUSPECT_CRASHES } from '../../domain/suspicion.ts'

const PROBATION_MS = 2000

describe('suspicion', () => {
  it('puts suspects into ever smaller groups, and leaves the last ones alone', () => {
    assert.deepEqual(
      [3, 4, 5, 6, 7].map(crashes => groupSize(crashes)),
      [16, 4, 1, 1, 1],
    )
    assert.equal(groupSize(MIN_GUILTY_CRASHES - 1), 1, 'the crash that shows who is guilty happened to one that ran alone')
  })
})

describe('Isolation', () => {
  let ageMs: number
  let isolation: Isolation

  beforeEach(() => {
    ageMs = 60_000
    isolation = new Isolation({ probationMs: PROBATION_MS, ageMs: () => ageMs })
  })

  it('has anything but suspects claimed while there are none', () => {
    assert.deepEqual(isolation.turn(0), { take: 'others' })
    assert.deepEqual(isolation.turn(50), { take: 'others' })
  })

  it('claims nothing until what runs has ended, then one group, and nothing beside it', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.deepEqual(isolation.turn(3), { take: 'nothing' })
    assert.deepEqual(isolation.turn(1), { take: 'nothing' })
    assert.deepEqual(isolation.turn(0), { take: 'suspects', crashes: SUSPECT_CRASHES, callbacks: 16 })
    assert.deepEqual(isolation.turn(16), { take: 'nothing' })
    assert.deepEqual(isolation.turn(2), { take: 'nothing' })
    assert.deepEqual(isolation.turn(0), { take: 'others' })
  })

  it('gives everything else as much time as the group took, draining included, before the next one', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    isolation.turn(3)
    ageMs += 1000
    isolation.turn(0)
    ageMs += 2000
    assert.deepEqual(isolation.turn(0), { take: 'others' })
    isolation.noteSuspects(SUSPECT_CRASHES)
    ageMs += 2999
    assert.deepEqual(isolation.turn(32), { take: 'others' })
    ageMs += 1
    assert.deepEqual(isolation.turn(32), { take: 'nothing' })
    assert.equal(isolation.turn(0).take, 'suspects')
  })

  it('goes on with the next group at once where there is nothing else to do', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    isolation.turn(0)
    ageMs += 2000
    assert.deepEqual(isolation.turn(0), { take: 'others' })
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.equal(isolation.turn(0).take, 'suspects')
  })

  it('keeps everything else waiting for five seconds at most, unless a suspect is alone', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    isolation.turn(0)
    ageMs += 4999
    assert.deepEqual(isolation.turn(16), { take: 'nothing' })
    ageMs += 1
    assert.deepEqual(isolation.turn(16), { take: 'others' })
    ageMs += 60_000
    isolation.noteSuspects(MIN_GUILTY_CRASHES - 1)
    assert.equal(isolation.turn(0).take, 'suspects')
    ageMs += 60_000
    assert.deepEqual(isolation.turn(1), { take: 'nothing' })
  })

  it('goes on with the others where somebody else took the group', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.equal(isolation.turn(0).take, 'suspects')
    assert.deepEqual(isolation.turn(0), { take: 'others' })
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
      assert.deepEqual(isolation.turn(0), { take: 'others' })
      ageMs = probation
      assert.equal(isolation.turn(0).take, 'suspects')
    })
  }

  it('goes on with the others where the suspects are gone before what runs has ended', () => {
    isolation.noteSuspects(SUSPECT_CRASHES)
    assert.deepEqual(isolation.turn(3), { take: 'nothing' })
    isolation.noteSuspects(undefined)
    assert.deepEqual(isolation.turn(0), { take: 'others' })
  })
})
