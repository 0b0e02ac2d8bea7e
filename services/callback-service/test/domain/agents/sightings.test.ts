import assert from 'node:assert/strict'
import { Sightings } from '../../../domain/agents/sightings.ts'

const NOTHING = { version: undefined, objects: 0, callbacks: 0, lapses: 0 }

describe('Sightings', () => {
  let nowMs: number
  let revivals: number
  let sightings: Sightings

  beforeEach(() => {
    nowMs = 1000
    revivals = 0
    sightings = new Sightings({
      nowMs: () => nowMs,
      onRevival: () => {
        revivals += 1
      },
    })
  })

  it('adds up what an agent did, and gives it away once', () => {
    sightings.seen('a', 'agent/1')
    sightings.delivered('a', 3)
    sightings.delivered('a', 4)
    sightings.finished('a')
    nowMs += 250
    assert.deepEqual(sightings.take(), [{ id: 'a', agoMs: 250, version: 'agent/1', objects: 7, callbacks: 1, lapses: 0 }])
    assert.deepEqual(sightings.take(), [])
  })

  it('does not take a lapse for a sign of life', () => {
    sightings.lapsed('a')
    assert.deepEqual([sightings.isAlive('a'), sightings.take()], [false, [{ id: 'a', agoMs: undefined, ...NOTHING, lapses: 1 }]])
  })

  it('gives the agents away in the order of their ids', () => {
    for (const id of ['c', 'a', 'b']) sightings.seen(id)
    assert.deepEqual(
      sightings.take().map(({ id }) => id),
      ['a', 'b', 'c'],
    )
  })

  it('counts what could not be written with what came since', () => {
    sightings.seen('a', 'agent/1')
    sightings.delivered('a', 3)
    const taken = sightings.take()
    sightings.seen('a', 'agent/2')
    sightings.delivered('a', 4)
    sightings.putBack(taken)
    assert.deepEqual(sightings.take(), [{ id: 'a', agoMs: 0, ...NOTHING, version: 'agent/2', objects: 7 }])
  })

  it('says for 90 s that an agent is alive, whoever has seen it', () => {
    sightings.seen('a')
    sightings.learn('b', 60_000)
    nowMs += 29_999
    assert.deepEqual([sightings.isAlive('a'), sightings.isAlive('b'), sightings.isAlive('c')], [true, true, false])
    nowMs += 1
    assert.deepEqual([sightings.isAlive('a'), sightings.isAlive('b')], [true, false])
    nowMs += 60_000
    assert.equal(sightings.isAlive('a'), false)
  })

  it('learns nothing older than it knows', () => {
    sightings.seen('a')
    sightings.learn('a', 89_000)
    nowMs += 50_000
    assert.equal(sightings.isAlive('a'), true)
  })

  it('tells when an agent comes back, and not each time it is seen', () => {
    sightings.seen('a')
    sightings.seen('a')
    nowMs += 90_000
    sightings.seen('a')
    assert.equal(revivals, 2)
  })
})
