import assert from 'node:assert/strict'
import { pino } from 'pino'
import type { PrismaClient } from '#prisma'
import { ClockSteps } from '../../../adapters/postgres/clock-steps.ts'
import type { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'

/** With a database that has no rows, and keeps count of what it is asked. */
describe('ClockSteps, asked again and again', () => {
  let lines: { level: number; step_ms: number; msg: string }[]
  let moves: number[]
  let untouched: number[]
  let step: { byMs: number; afterMs: number } | undefined
  let steps: ClockSteps
  let answer: () => Promise<object[]>

  beforeEach(() => {
    lines = []
    moves = []
    untouched = []
    step = undefined
    answer = async () => [{ won: true }]
    const prisma = {
      $queryRaw: (_sql: unknown, number: number) => {
        moves.push(number)
        return answer()
      },
      $executeRaw: async () => untouched.shift() ?? 0,
    }
    const clock = {
      get step() {
        return step
      },
      at: (ms: number) => ms,
      forgetStep: (byMs: number) => {
        if (step) step = step.byMs === byMs ? undefined : { ...step, byMs: step.byMs - byMs }
      },
    }
    steps = new ClockSteps({
      prisma: prisma as unknown as PrismaClient,
      clock: clock as unknown as DatabaseClock,
      logger: pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) }),
    })
  })

  const upTo = (number: number, byMs = 0) => ({ number, byMs, oldestTransaction: '3' })
  const stepBy = (byMs: number): void => {
    step = { byMs, afterMs: performance.now() }
  }
  const told = (): [number, number][] => lines.map(line => [line.level, line.step_ms])

  it('makes up for a step under the next number, says so, and forgets it', async () => {
    stepBy(1000.4)
    await steps.makeUp(upTo(7))
    assert.deepEqual([moves, told(), step], [[8], [[40, 1000]], undefined])
    await steps.makeUp(upTo(8))
    assert.deepEqual(moves, [8])
  })

  it('makes up for the next step too', async () => {
    for (const number of [0, 1]) {
      stepBy(-1000)
      await steps.makeUp(upTo(number, number * -1000))
    }
    const each = [40, -1000]
    assert.deepEqual([moves, told(), step], [[1, 2], [each, each], undefined])
  })

  it('makes up for no step of less than a second', async () => {
    for (const byMs of [999, -999]) {
      stepBy(byMs)
      await steps.makeUp(upTo(0))
    }
    assert.deepEqual([moves, lines, step], [[], [], undefined])
  })

  it('leaves a step to the replica that has made up for it since it looked last, and says nothing', async () => {
    await steps.makeUp(upTo(7))
    stepBy(60_000)
    await steps.makeUp(upTo(8, 60_003))
    assert.deepEqual([moves, lines, step], [[], [], undefined])
  })

  it('makes up for the rest where the other replica saw only the first of two steps', async () => {
    await steps.makeUp(upTo(7))
    stepBy(105_000)
    await steps.makeUp(upTo(8, 60_000))
    assert.deepEqual([moves, told(), step], [[9], [[40, 45_000]], undefined])
  })

  it('does not count what was made up for before it looked first', async () => {
    stepBy(60_000)
    await steps.makeUp(upTo(8, 60_000))
    assert.deepEqual([moves, step], [[9], undefined])
  })

  for (const lost of [[{ won: false }], []]) {
    it(`waits for the next look to see what a faster replica has made up for, ${lost.length} rows`, async () => {
      answer = async () => lost
      stepBy(60_000)
      for (let i = 0; i < 6; i += 1) await steps.makeUp(upTo(0))
      assert.deepEqual([moves.length, lines, step?.byMs], [6, [], 60_000])
      await steps.makeUp(upTo(1, 60_000))
      assert.deepEqual([moves.length, lines, step], [6, [], undefined])
    })
  }

  it('tries five times, then says that nothing could be moved, and goes on; the next step has five tries again', async () => {
    answer = async () => {
      throw new Error('too slow')
    }
    for (let round = 1; round <= 2; round += 1) {
      stepBy(60_000)
      for (let i = 0; i < 5; i += 1) await assert.rejects(steps.makeUp(upTo(0)))
      assert.deepEqual([moves.length, lines.length, step !== undefined], [5 * round, round - 1, true])
      await steps.makeUp(upTo(0))
      assert.deepEqual([moves.length, told().length, told().at(-1), step], [5 * round, round, [50, 60_000], undefined])
    }
  })

  describe('has callbacks due that came before the clock went back', () => {
    const BATCH = 10_000

    for (const [what, byMs, isMoved] of [
      ['when it looks first, without a step', undefined, true],
      ['when the clock has gone back', -500, true],
      ['not when it has gone forward', 60_000, false],
      ['not when it has not stepped', undefined, false],
    ] as const) {
      it(`${what}`, async () => {
        if (what !== 'when it looks first, without a step') await steps.makeUp(upTo(0))
        if (byMs !== undefined) stepBy(byMs)
        untouched = [1]
        await steps.makeUp(upTo(0))
        assert.equal(untouched.length, isMoved ? 0 : 1)
      })
    }

    it('batch by batch, until one is not full', async () => {
      untouched = [BATCH, BATCH, BATCH - 1, BATCH]
      await steps.makeUp(upTo(0))
      assert.deepEqual(untouched, [BATCH])
    })
  })
})
