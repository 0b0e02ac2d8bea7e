import assert from 'node:assert/strict'
import { Backlog } from '../../../domain/accepting/backlog.ts'

describe('Backlog', () => {
  let nowMs = 0
  let backlog: Backlog

  beforeEach(() => {
    nowMs = 5000
    backlog = new Backlog({ max: 100, nowMs: () => nowMs })
  })

  it('has room until the limit, including the callbacks accepted since the last count', () => {
    backlog.count(98)
    backlog.accepted()
    assert.equal(backlog.waitSeconds, 0)
    backlog.accepted()
    assert.ok(backlog.waitSeconds > 0)
    backlog.count(99)
    assert.equal(backlog.waitSeconds, 0)
  })

  it('says when there will be room, by the rate at which callbacks finished recently', () => {
    backlog.count(150)
    nowMs += 2000
    backlog.count(130)
    // 10 callbacks finish per second, and 31 must finish before there is room for one.
    assert.equal(backlog.waitSeconds, 4)
  })

  it('counts callbacks that were accepted and finished between two counts', () => {
    backlog.count(150)
    for (let i = 0; i < 20; i += 1) backlog.accepted()
    nowMs += 2000
    backlog.count(130)
    // 20 callbacks finish per second, and 31 must finish.
    assert.equal(backlog.waitSeconds, 2)
  })

  it('gives one minute if the backlog grows', () => {
    backlog.count(150)
    nowMs += 2000
    backlog.count(170)
    assert.equal(backlog.waitSeconds, 60)
  })

  it('gives one minute if nothing finishes, and never more', () => {
    backlog.count(200)
    assert.equal(backlog.waitSeconds, 60)
    nowMs += 100_000
    backlog.count(199)
    assert.equal(backlog.waitSeconds, 60)
  })
})
