import assert from 'node:assert/strict'
import { age, bytes, clock, compact, duration, number, timeOfDay } from '../../web/format.ts'

describe('format', () => {
  it('writes a duration with the units that fit it', () => {
    const durations = [0, 0.44, 9.96, 999.4, 999.6, 1400, 59_949, 59_951, 125_000, 11_400_000, 187_200_000, -2000]
    assert.deepEqual(durations.map(duration), [
      ...['0 ms', '0.4 ms', '10 ms', '999 ms', '1.0 s', '1.4 s', '59.9 s', '1 min 0 s'],
      ...['2 min 5 s', '3 h 10 min', '2 d 4 h', '-2.0 s'],
    ])
  })

  it('writes an age in whole seconds, and none below zero', () => {
    assert.deepEqual([-500, 12_400, 59_600, 125_000].map(age), ['0 s', '12 s', '1 min 0 s', '2 min 5 s'])
  })

  it('writes a small number with the digits that tell it from zero', () => {
    assert.deepEqual([0, 0.034, 0.5, 12.34, 99.96, 1234.5, -0.5].map(number), ['0', '0.03', '0.5', '12.3', '100', '1,235', '-0.5'])
  })

  it('writes a large number in little space', () => {
    assert.deepEqual([0, 0.5, 950, 1234, 3_000_000].map(compact), ['0', '0.5', '950', '1.2K', '3M'])
  })

  it('writes a size', () => {
    assert.deepEqual([0, 512, 1023.6, 1536, 20 * 1024 ** 2].map(bytes), ['0 B', '512 B', '1 KiB', '1.5 KiB', '20 MiB'])
  })

  it('calls midnight 00:00:00', () => {
    const midnight = new Date(2026, 10, 22, 0, 0, 0, 7).getTime()
    assert.deepEqual([timeOfDay(midnight), clock(midnight)], ['00:00:00', '00:00:00.007'])
  })
})
