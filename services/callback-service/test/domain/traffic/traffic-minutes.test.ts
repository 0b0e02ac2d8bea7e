import assert from 'node:assert/strict'
import { MINUTE_MS, type MinuteCount, type MinuteSpan, TrafficMinutes } from '../../../domain/traffic/traffic-minutes.ts'

/** 30 s after the start of a minute. */
const NOON = Date.UTC(2026, 0, 1, 12)
const NOW = NOON + 30_000
const ANY = { maxMinutes: 15, rereadMs: 60_000 }

describe('TrafficMinutes', () => {
  let minutes: TrafficMinutes

  beforeEach(() => {
    minutes = new TrafficMinutes()
  })

  /** Spans as minutes before and after noon. */
  const spansAt = (nowMs: number, options = ANY): number[][] => minutes.spans(nowMs, options).map(relative)
  const relative = ({ fromMs, toMs }: MinuteSpan): number[] => [(fromMs - NOON) / MINUTE_MS, (toMs - NOON) / MINUTE_MS]
  const takeAll = (nowMs: number, counts: MinuteCount[] = [], options = ANY): void => {
    for (const span of minutes.spans(nowMs, options)) minutes.take(span, nowMs, counts)
  }
  const count = (minute: number, received: number, workspace = 'shop'): MinuteCount => ({
    ...{ workspace, atMs: NOON + minute * MINUTE_MS, received, failed: 0, lastMs: null },
  })

  it('reads 15 minutes at first, the one that goes on included', () => {
    assert.deepEqual(spansAt(NOW), [[-14, 1]])
  })

  it('reads a minute that is over no more once it was read ten seconds after its end', () => {
    takeAll(NOW)
    assert.deepEqual(spansAt(NOW + 5000), [[0, 1]])
    assert.deepEqual(spansAt(NOW + 35_000), [[0, 2]])
    takeAll(NOON + MINUTE_MS + 9999)
    assert.deepEqual(spansAt(NOON + MINUTE_MS + 10_000), [[0, 2]])
    takeAll(NOON + MINUTE_MS + 10_000)
    assert.deepEqual(spansAt(NOON + MINUTE_MS + 15_000), [[1, 2]])
  })

  it('shows what was read last, also to somebody who looked before', () => {
    takeAll(NOW, [count(0, 2)])
    assert.equal(minutes.seriesOf('shop').received.at(-1), 2)
    takeAll(NOW + 5000, [count(0, 3)])
    assert.equal(minutes.seriesOf('shop').received.at(-1), 3)
  })

  it('reads the whole window again after a while, for callbacks that came late', () => {
    takeAll(NOW)
    takeAll(NOW + 55_000)
    assert.deepEqual(spansAt(NOW + 60_000), [
      [1, 2],
      [-13, 0],
    ])
    assert.deepEqual(spansAt(NOW + 60_000, { ...ANY, rereadMs: 300_000 }), [[1, 2]])
  })

  it('reads a window that is too large in parts, the newest first', () => {
    const parts = { ...ANY, maxMinutes: 6 }
    assert.deepEqual(spansAt(NOW, parts), [
      [-5, 1],
      [-11, -5],
    ])
    takeAll(NOW, [], parts)
    assert.equal(minutes.completeFromMs, NOON - 11 * MINUTE_MS)
    assert.deepEqual(spansAt(NOW + 1000, parts), [
      [0, 1],
      [-14, -11],
    ])
  })

  it('fills a gap in what it knows', () => {
    takeAll(NOW)
    const laterMs = NOW + 5 * MINUTE_MS
    assert.deepEqual(spansAt(laterMs, { maxMinutes: 2, rereadMs: 3_600_000 }), [
      [4, 6],
      [2, 4],
    ])
  })

  it('shows the minutes of a workspace, the newest last, and 0 where it did nothing', () => {
    takeAll(NOW, [count(0, 3), count(-14, 7), count(-2, 5, 'depot')])
    assert.deepEqual(minutes.seriesOf('shop').received, [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3])
    assert.deepEqual(minutes.seriesOf('nobody').failed, Array(15).fill(0))
  })

  it('shows null for a minute that was not read', () => {
    minutes.take({ fromMs: NOON - MINUTE_MS, toMs: NOON + MINUTE_MS }, NOW, [count(0, 3)])
    assert.deepEqual(minutes.seriesOf('shop').received, [...Array(13).fill(null), 0, 3])
    assert.equal(minutes.completeFromMs, NOON - MINUTE_MS)
  })

  it('replaces a minute by what was read last', () => {
    takeAll(NOW, [count(0, 3), count(-1, 1)])
    minutes.take({ fromMs: NOON, toMs: NOON + MINUTE_MS }, NOW + 5000, [count(0, 4)])
    assert.deepEqual(minutes.seriesOf('shop').received.slice(-2), [1, 4])
  })

  it('moves on with time and forgets what is older than the window', () => {
    takeAll(NOW, [count(-14, 7), count(0, 3)])
    takeAll(NOW + 2 * MINUTE_MS)
    assert.equal(minutes.fromMs, NOON - 12 * MINUTE_MS)
    assert.deepEqual(minutes.seriesOf('shop').received.slice(0, 2), [0, 0])
    takeAll(NOW + 60 * MINUTE_MS)
    assert.deepEqual(minutes.seriesOf('shop').received, Array(15).fill(0))
  })
})
