import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import { activitySampler } from '../../workers/activity-sampler.ts'
import { logger } from './silent-logger.ts'

describe('activitySampler', () => {
  let now: number
  let sampledAt: number[]
  let sampler: Loop

  beforeEach(() => {
    now = 0
    sampledAt = []
    sampler = activitySampler({ sample: () => sampledAt.push(now), intervalMs: 1000, nowMs: () => now, logger })
  })

  afterEach(() => sampler.stop())

  /** Lets the sampler look at these times. */
  async function lookAt(...times: number[]): Promise<void> {
    for (const time of times) {
      now = time
      sampler.start()
      sampler.wake()
      await turn()
    }
  }

  it('takes a sample a second, on its beat', async () => {
    await lookAt(0, 1003, 1999, 2001, 2999, 3000)
    assert.deepEqual(sampledAt, [1003, 2001, 3000])
  })

  it('takes one sample after a standstill, and the next a second later', async () => {
    await lookAt(0, 60_500, 60_501, 61_499, 61_500)
    assert.deepEqual(sampledAt, [60_500, 61_500])
  })
})
