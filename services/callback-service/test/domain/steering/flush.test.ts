import assert from 'node:assert/strict'
import { flush } from '../../../domain/steering/flush.ts'

function waiting(callbacks: number, lockedUntilMs = 0) {
  let left = callbacks
  let now = 0
  const batches: number[] = []
  const isDone = (maxMs: number) =>
    flush(
      {
        cancelSome: async limit => {
          now += 1
          const count = now <= lockedUntilMs ? 0 : Math.min(limit, left)
          left -= count
          batches.push(count)
          return count
        },
        isAnyLeft: async () => left > 0,
      },
      {
        maxMs,
        isOver: () => false,
        nowMs: () => now,
        rest: async ms => {
          now += ms
        },
      },
    )
  return { isDone, batches }
}

describe('flush', () => {
  it('goes on at once after a full batch, until none is left', async () => {
    const { isDone, batches } = waiting(4500)
    assert.equal(await isDone(1000), true)
    assert.deepEqual(batches, [2000, 2000, 500])
  })

  it('comes back for callbacks that others have locked', async () => {
    const { isDone, batches } = waiting(3, 25)
    assert.equal(await isDone(1000), true)
    assert.deepEqual(batches, [0, 0, 3])
  })

  it('says that some are left when the time is over', async () => {
    const { isDone } = waiting(1, 10_000)
    assert.equal(await isDone(1000), false)
  })
})
