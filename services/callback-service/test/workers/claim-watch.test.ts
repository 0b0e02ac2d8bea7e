import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { WorkerSign } from '../../domain/processing/worker-liveness.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { type ClaimWatchOptions, claimWatch } from '../../workers/claim-watch.ts'
import { logger } from './silent-logger.ts'

const SIGNS: WorkerSign[] = [
  { number: 7, renewal: '1', leaseMs: 1000, isLocked: false },
  { number: 8, renewal: '1', leaseMs: 1000, isLocked: false },
]

describe('claimWatch', () => {
  let watch: Loop

  afterEach(() => watch.stop())

  /** @param answers the result of each take-over; after the last one, nothing is found */
  function setup(answers: (number | Error)[], changes: Partial<ClaimWatchOptions> = {}) {
    const seen = { takeOvers: [] as [number, readonly number[]][], takenOver: [] as number[], interruptions: 0, looks: 0 }
    watch = claimWatch({
      look: async () => {
        seen.looks += 1
        return SIGNS
      },
      // It declares every worker dead.
      liveness: {
        observe: signs => signs.map(({ number }) => number),
        interrupted: () => {
          seen.interruptions += 1
        },
      },
      takeOver: async (worker, dead) => {
        const answer = answers[seen.takeOvers.push([worker, dead]) - 1] ?? 0
        if (answer instanceof Error) throw answer
        return answer
      },
      workerNumber: () => 7,
      intervalMs: 1,
      onTakenOver: count => seen.takenOver.push(count),
      logger,
      ...changes,
    })
    return seen
  }

  it('takes over from dead workers at once when it starts, never from itself, and reports the number of callbacks', async () => {
    const seen = setup([3], { intervalMs: 3_600_000 })
    watch.start()
    await eventually('it has looked', () => seen.takenOver.length === 1)
    assert.deepEqual([seen.takeOvers, seen.takenOver], [[[7, [8]]], [3]])
  })

  it('looks regularly, and reports nothing if there is nothing', async () => {
    const lines: string[] = []
    const seen = setup([0, 2, 0, 1], { logger: pino({}, { write: line => lines.push(line) }) })
    watch.start()
    await eventually('it has looked five times', () => seen.takeOvers.length >= 5)
    assert.deepEqual(seen.takenOver, [2, 1])
    assert.deepEqual(
      lines.map(line => JSON.parse(line).count),
      [2, 1],
    )
  })

  it('looks no more once it is stopped', async () => {
    const seen = setup([])
    watch.start()
    await eventually('it has looked', () => seen.looks > 0)
    await watch.stop()
    const { looks } = seen
    await sleep(20)
    assert.equal(seen.looks, looks)
  })

  it('takes nothing over while the worker has no session, and ignores what it saw meanwhile', async () => {
    let number: number | undefined
    const seen = setup([1], { workerNumber: () => number })
    watch.start()
    await eventually('it has looked', () => seen.looks > 3)
    assert.deepEqual(seen.takeOvers, [])
    assert.ok(seen.interruptions >= 3)
    number = 9
    await eventually('it takes over', () => seen.takenOver.length === 1)
    assert.deepEqual(seen.takeOvers[0], [9, [7, 8]])
  })

  it('continues when the database is back, and ignores what it saw before', async () => {
    let isAway = true
    const seen = setup([4], {
      look: async () => {
        if (isAway) throw new StorageUnavailableError('down')
        return SIGNS
      },
    })
    watch.start()
    await eventually('it has tried', () => seen.interruptions > 0)
    isAway = false
    await eventually('it takes over', () => seen.takenOver.length === 1)
    assert.deepEqual(seen.takenOver, [4])
  })
})
