import assert from 'node:assert/strict'
import { Backlog, Backlogs } from '../../../domain/accepting/backlog.ts'

describe('Backlog', () => {
  let nowMs = 0
  let backlog: Backlog

  beforeEach(() => {
    nowMs = 5000
    backlog = new Backlog({ nowMs: () => nowMs })
  })

  it('has room until the limit, including the callbacks accepted since the last count', () => {
    backlog.count(98)
    backlog.accepted()
    assert.equal(backlog.waitSeconds(100), 0)
    backlog.accepted()
    assert.ok(backlog.waitSeconds(100) > 0)
    backlog.count(99)
    assert.equal(backlog.waitSeconds(100), 0)
  })

  it('says when there will be room, by the rate at which callbacks finished recently', () => {
    backlog.count(150)
    nowMs += 2000
    backlog.count(130)
    // 10 callbacks finish per second, and 31 must finish before there is room for one.
    assert.equal(backlog.waitSeconds(100), 4)
  })

  it('counts callbacks that were accepted and finished between two counts', () => {
    backlog.count(150)
    for (let i = 0; i < 20; i += 1) backlog.accepted()
    nowMs += 2000
    backlog.count(130)
    // 20 callbacks finish per second, and 31 must finish.
    assert.equal(backlog.waitSeconds(100), 2)
  })

  it('gives one minute if the backlog grows', () => {
    backlog.count(150)
    nowMs += 2000
    backlog.count(170)
    assert.equal(backlog.waitSeconds(100), 60)
  })

  it('gives one minute if nothing finishes, and never more', () => {
    backlog.count(200)
    assert.equal(backlog.waitSeconds(100), 60)
    nowMs += 100_000
    backlog.count(199)
    assert.equal(backlog.waitSeconds(100), 60)
  })
})

describe('Backlogs', () => {
  const nowMs = (): number => 5000

  it('count each workspace for itself, and all of them together', () => {
    const backlogs = new Backlogs({ nowMs })
    backlogs.count(
      new Map([
        ['default', 60],
        ['shop', 40],
      ]),
    )
    backlogs.accepted('shop')
    assert.deepEqual([backlogs.all.waitSeconds(101), backlogs.all.waitSeconds(102)], [60, 0])
    assert.deepEqual([backlogs.waitSeconds('shop', 41), backlogs.waitSeconds('shop', 42)], [60, 0])
    assert.deepEqual([backlogs.waitSeconds('default', 60), backlogs.waitSeconds('default', 61)], [60, 0])
  })

  it('take a workspace that a count does not name for empty', () => {
    const backlogs = new Backlogs({ nowMs })
    backlogs.count(new Map([['shop', 40]]))
    backlogs.count(new Map())
    assert.deepEqual([backlogs.waitSeconds('shop', 1), backlogs.waitSeconds('never seen', 1)], [0, 0])
  })
})
