import assert from 'node:assert/strict'
import { mock } from 'node:test'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { callbackPruner } from '../../workers/callback-pruner.ts'
import { logger } from './silent-logger.ts'

describe('callbackPruner', () => {
  let pruner: Loop

  afterEach(() => pruner.stop())

  /** @param answers the number of callbacks that each pass deletes */
  function setup(answers: (number | 'all' | Error)[]) {
    const limits: number[] = []
    pruner = callbackPruner({
      prune: async limit => {
        const answer = answers[limits.push(limit) - 1] ?? 0
        if (answer instanceof Error) throw answer
        return answer === 'all' ? limit : answer
      },
      logger,
    })
    return limits
  }

  it('goes on at once after a full batch, and rests after a short one', async () => {
    const limits = setup(['all', 'all', 999])
    pruner.start()
    await eventually('three batches', () => limits.length === 3)
    // A rest of five seconds cannot end within a few turns of the event loop.
    for (let i = 0; i < 10; i += 1) await new Promise(setImmediate)
    assert.deepEqual(limits, [1000, 1000, 1000])
  })

  it('rests for five seconds, and prunes nothing after a stop', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const limits = setup([0, 0])
      pruner.start()
      const passesAfter = async (ms: number): Promise<number> => {
        mock.timers.tick(ms)
        await new Promise(setImmediate)
        return limits.length
      }
      assert.deepEqual([await passesAfter(0), await passesAfter(4999), await passesAfter(1)], [1, 1, 2])
      await pruner.stop()
      assert.equal(await passesAfter(5000), 2)
    } finally {
      mock.timers.reset()
    }
  })

  it('goes on when the database is back', async () => {
    const limits = setup([new StorageUnavailableError('down'), 'all', 0])
    pruner.start()
    await eventually('it has pruned', () => limits.length === 3)
  })

  it('stops without waiting for the rest to end', async () => {
    const limits = setup([0])
    pruner.start()
    await eventually('it rests', () => limits.length === 1)
    const started = performance.now()
    await pruner.stop()
    assert.ok(performance.now() - started < 2000)
  })
})
