import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CAN_STEP_CLOCKS, SteppableClock } from './steppable-clock.ts'

describe('a clock that steps', () => {
  it('is seen by the processes that are started with it, and by no other', async function () {
    if (!CAN_STEP_CLOCKS) this.skip()
    const folder = await mkdtemp(join(tmpdir(), 'answerback-clock-'))
    const clock = await SteppableClock.start(folder)
    try {
      for (const [stepMs, offsetSeconds] of [
        [0, 0],
        [3_600_000, 3600],
        [-3_602_000, -2],
      ] as const) {
        await clock.step(stepMs)
        const { stdout } = await promisify(execFile)('date', ['+%s'], { env: clock.env })
        const seen = Number(stdout) - Date.now() / 1000
        assert.ok(Math.abs(seen - offsetSeconds) < 1.5, `${seen} s away instead of ${offsetSeconds}`)
      }
    } finally {
      await clock.stop()
      await rm(folder, { recursive: true })
    }
  })
})
