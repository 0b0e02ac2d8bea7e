import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { ClaimWatch, type ClaimWatchOptions } from '../../workers/claim-watch.ts'
import { logger } from './silent-logger.ts'

describe('ClaimWatch', () => {
  let watch: ClaimWatch

  afterEach(() => watch.stop())

  /** @param answers what each take-over finds; nothing after the last */
  function setup(answers: (number | Error)[], changes: Partial<ClaimWatchOptions> = {}) {
    const seen = { takers: [] as number[], takenOver: [] as number[] }
    watch = new ClaimWatch({
      takeOver: async worker => {
        const answer = answers[seen.takers.push(worker) - 1] ?? 0
        if (answer instanceof Error) throw answer
        return answer
      },
      worker: () => 7,
      intervalMs: 1,
      onTakenOver: count => seen.takenOver.push(count),
      logger,
      ...changes,
    })
    return seen
  }

  it('looks at once when it starts, and says how many callbacks there are to claim', async () => {
    const seen = setup([3], { intervalMs: 3_600_000 })
    watch.start()
    await eventually('it has looked', () => seen.takenOver.length === 1)
    assert.deepEqual(seen, { takers: [7], takenOver: [3] })
  })

  it('looks again and again, and says nothing when there is nothing', async () => {
    const seen = setup([0, 2, 0, 1])
    watch.start()
    await eventually('it has looked five times', () => seen.takers.length >= 5)
    assert.deepEqual(seen.takenOver, [2, 1])
  })

  it('takes nothing over while the worker itself is not known to live', async () => {
    let number: number | undefined
    let looks = 0
    const seen = setup([1], {
      worker: () => {
        looks += 1
        return number
      },
    })
    watch.start()
    await eventually('it has looked', () => looks > 3)
    assert.deepEqual(seen.takers, [])
    number = 9
    await eventually('it takes over', () => seen.takenOver.length === 1)
    assert.equal(seen.takers[0], 9)
  })

  it('goes on when the database is back', async () => {
    const seen = setup([new StorageUnavailableError('down'), 4])
    watch.start()
    await eventually('it takes over', () => seen.takenOver.length === 1)
    assert.deepEqual(seen.takenOver, [4])
  })
})
