import assert from 'node:assert/strict'
import { LastReceipts } from '../../../domain/traffic/last-receipts.ts'
import { MINUTE_MS, type MinuteCount, TrafficMinutes } from '../../../domain/traffic/traffic-minutes.ts'

const NOON = Date.UTC(2026, 0, 1, 12)
const NOW = NOON + 30_000
const HOUR_MS = 3_600_000

describe('LastReceipts', () => {
  let receipts: LastReceipts
  let minutes: TrafficMinutes

  beforeEach(() => {
    receipts = new LastReceipts()
    minutes = new TrafficMinutes()
  })

  const at = (minute: number, received = 60): MinuteCount => ({
    ...{ workspace: 'shop', atMs: NOON + minute * MINUTE_MS, received, failed: 0, lastMs: NOON + minute * MINUTE_MS + 20_000 },
  })
  /** Reads the window, in which the shop received callbacks in these minutes. */
  function sight(counts: readonly MinuteCount[], nowMs = NOW): void {
    for (const span of minutes.spans(nowMs, { maxMinutes: 15, rereadMs: 0 })) {
      const here = counts.filter(({ atMs }) => atMs >= span.fromMs && atMs < span.toMs)
      minutes.take(span, nowMs, here)
      receipts.sighted(here, minutes)
    }
  }
  const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n)
  const search = (oldestMs = 0, nowMs = NOW) => receipts.nextSearch(['shop', 'depot'], nowMs, oldestMs)

  it('take the last receipt and the usual gap from the minutes in memory', () => {
    sight(range(-14, 0).map(minute => at(minute)))
    assert.deepEqual(receipts.of('shop'), { precision: 'exact', atMs: NOON + 20_000, usualGapMs: 1000 })
  })

  it('keep the usual gap while the workspace is silent, though its minutes leave the window', () => {
    const busy = range(-14, 0).map(minute => at(minute))
    sight(busy)
    for (const later of range(1, 20)) sight(busy, NOW + later * MINUTE_MS)
    assert.deepEqual(receipts.of('shop'), { precision: 'exact', atMs: NOON + 20_000, usualGapMs: 1000 })
  })

  it('do not go back when an old minute is read again', () => {
    sight([at(0), at(-3)])
    receipts.sighted([at(-3)], minutes)
    assert.equal(receipts.of('shop').atMs, NOON + 20_000)
  })

  it('search for all that the minutes do not tell: no receipt, or too few minutes before it', () => {
    sight([at(-6)])
    assert.deepEqual(search(), { workspaces: ['shop', 'depot'], fromMs: NOW - 30 * MINUTE_MS, toMs: NOW })
    receipts = new LastReceipts()
    sight([at(-5)])
    assert.deepEqual(search()?.workspaces, ['depot'])
  })

  it('search further back with each step, and end with one that has no beginning', () => {
    const steps: number[][] = []
    for (let step = search(NOW - 5 * HOUR_MS); step; step = search(NOW - 5 * HOUR_MS)) {
      steps.push([(NOW - step.toMs) / HOUR_MS, step.fromMs === 0 ? Number.POSITIVE_INFINITY : (NOW - step.fromMs) / HOUR_MS])
      receipts.found(step.fromMs, [])
    }
    assert.deepEqual(steps, [
      [0, 0.5],
      [0.5, 2.5],
      [2.5, Number.POSITIVE_INFINITY],
    ])
  })

  it('search no more for what was found, and judge its pace', () => {
    receipts.found(NOW - HOUR_MS, [{ workspace: 'shop', lastMs: NOON - HOUR_MS, minutes: 15, busyMinutes: 15, received: 90 }])
    assert.deepEqual(receipts.of('shop'), { precision: 'exact', atMs: NOON - HOUR_MS, usualGapMs: 10_000 })
    assert.deepEqual(search()?.workspaces, ['depot'])
  })

  it('search once for a workspace that has none, and again from now for one that is new', () => {
    search()
    receipts.found(0, [])
    assert.equal(search(), undefined)
    assert.deepEqual(receipts.nextSearch(['shop', 'new'], NOW, 0), { workspaces: ['new'], fromMs: NOW - 30 * MINUTE_MS, toMs: NOW })
  })

  it('search again if a callback came late, so that the minutes before it are not in memory', () => {
    search()
    receipts.found(0, [])
    sight([at(-8)])
    assert.deepEqual(search()?.workspaces, ['shop'])
  })

  it('prefer a receipt that came during the search', () => {
    sight([at(0)])
    receipts.found(NOW - HOUR_MS, [{ workspace: 'shop', lastMs: NOON - HOUR_MS, minutes: 15, busyMinutes: 15, received: 90 }])
    assert.equal(receipts.of('shop').atMs, NOON + 20_000)
  })

  it('are unknown until the search has ended, then none', () => {
    receipts.tookHours(new Map())
    search()
    assert.equal(receipts.of('shop').precision, 'unknown')
    receipts.found(0, [])
    assert.equal(receipts.of('shop').precision, 'none')
  })

  it('are those of the ledger, to the hour, if no later row is left', () => {
    receipts.tookHours(new Map([['shop', NOON - 5 * HOUR_MS]]))
    search()
    assert.equal(receipts.of('shop').precision, 'unknown')
    receipts.found(0, [])
    assert.deepEqual(receipts.of('shop'), { precision: 'hour', atMs: NOON - 5 * HOUR_MS, usualGapMs: null })
    sight([at(0)])
    assert.equal(receipts.of('shop').precision, 'exact')
  })

  it('are those of the ledger if only an older row is left, such as a paused one', () => {
    receipts.tookHours(new Map([['shop', NOON - 5 * HOUR_MS]]))
    receipts.found(0, [{ workspace: 'shop', lastMs: NOON - 9 * HOUR_MS, minutes: 15, busyMinutes: 1, received: 1 }])
    assert.deepEqual(receipts.of('shop'), { precision: 'hour', atMs: NOON - 5 * HOUR_MS, usualGapMs: null })
  })
})
