import assert from 'node:assert/strict'
import { mock } from 'node:test'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { Operation } from '../../domain/steering/operation.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { operationRunner } from '../../workers/operation-runner.ts'
import { logger } from './silent-logger.ts'

const operation = { id: 'a', workspace: 'shop', state: 'running' } as Operation & { readonly state: 'running' }

describe('operationRunner', () => {
  let runner: Loop

  afterEach(() => runner.stop())

  /** @param steps the number of callbacks that each step changes; undefined: another replica was faster. Afterwards nothing is due */
  function setup(steps: readonly (number | undefined | Error)[], waitMs = Number.POSITIVE_INFINITY, hasRoom: () => boolean = () => true) {
    const seen = { due: 0, pruned: 0, contested: [] as (string | undefined)[], looks: [] as number[], changed: [] as number[] }
    runner = operationRunner({
      steps: {
        due: async contested => {
          seen.due += 1
          seen.contested.push(contested)
          return seen.looks.length < steps.length ? { operation, waitMs: 0 } : { operation: undefined, waitMs }
        },
        step: async (_operation, looks) => {
          const changed = steps[seen.looks.push(looks) - 1]
          if (changed instanceof Error) throw changed
          return changed === undefined ? undefined : { operation, changed }
        },
      },
      prune: async () => {
        seen.pruned += 1
      },
      onChanged: (_operation, changed) => seen.changed.push(changed),
      hasRoom,
      logger,
    })
    return seen
  }

  it('does the next step at once, and tells of those that changed something', async () => {
    const seen = setup([3, 0, 2])
    runner.start()
    await eventually('nothing is due', () => seen.due === 4)
    assert.deepEqual(seen.changed, [3, 2])
  })

  it('looks at half as many callbacks after a step that the database could not do', async () => {
    const seen = setup([new StorageUnavailableError('did not answer in time'), 1, 1])
    runner.start()
    await eventually('three steps', () => seen.looks.length === 3)
    assert.deepEqual(seen.looks, [2000, 1000, 2000])
  })

  it('lets other operations go first after a step that another replica was faster with', async () => {
    const seen = setup([undefined, 1])
    runner.start()
    await eventually('nothing is due', () => seen.due === 3)
    assert.deepEqual([seen.contested, seen.changed], [[undefined, operation.id, undefined], [1]])
  })

  it('lets other operations go first after a step that failed', async () => {
    const seen = setup([new StorageUnavailableError('did not answer in time'), 1])
    runner.start()
    await eventually('nothing is due', () => seen.due === 3)
    assert.deepEqual(seen.contested, [undefined, operation.id, undefined])
  })

  it('does no step while there is no room for what it sends round again, and lets other operations go first', async () => {
    let hasRoom = false
    const seen = setup([1], 1, () => hasRoom)
    runner.start()
    await eventually('it has looked again', () => seen.due >= 3)
    assert.deepEqual([seen.contested.slice(0, 3), seen.looks], [[undefined, operation.id, operation.id], []])
    hasRoom = true
    await eventually('it goes on', () => seen.changed.length === 1)
  })

  for (const [name, waitMs, restMs] of [
    ['asks once a second while there is no operation', Number.POSITIVE_INFINITY, 1000],
    ['asks again when the next step is due', 150.2, 151],
    ['asks again soon if another replica is doing the step that is due', -5, 20],
  ] as const) {
    it(name, async () => {
      mock.timers.enable({ apis: ['setTimeout'] })
      try {
        const seen = setup([], waitMs)
        runner.start()
        const asksAfter = async (ms: number): Promise<number> => {
          mock.timers.tick(ms)
          for (let i = 0; i < 3; i += 1) await new Promise(setImmediate)
          return seen.due
        }
        assert.deepEqual([await asksAfter(0), await asksAfter(restMs - 1), await asksAfter(1)], [1, 1, 2])
        assert.equal(seen.pruned, 1)
      } finally {
        mock.timers.reset()
      }
    })
  }

  it('looks at once when somebody wakes it', async () => {
    const seen = setup([])
    runner.start()
    await eventually('it rests', () => seen.due === 1)
    runner.wake()
    await eventually('it looks again', () => seen.due === 2)
  })
})
