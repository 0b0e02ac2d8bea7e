import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Loop } from '#foundation/lifecycle/loop.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { objectExpirer } from '../../workers/object-expirer.ts'
import { logger } from './silent-logger.ts'

interface Pass {
  readonly latenessMs: readonly number[]
  readonly nextInMs: number | undefined
}

const FULL: readonly number[] = Array.from({ length: 1000 }, () => 1)
const IDLE: Pass = { latenessMs: [], nextInMs: undefined }

describe('objectExpirer', () => {
  let expirer: Loop

  afterEach(() => expirer.stop())

  /** @param passes the result of each pass; after the last one, nothing is found */
  function setup(passes: (Pass | Error)[]) {
    const seen = { limits: [] as number[], atMs: [] as number[], expired: [] as (readonly number[])[] }
    expirer = objectExpirer({
      store: {
        deleteExpired: async limit => {
          seen.atMs.push(performance.now())
          const pass = passes[seen.limits.push(limit) - 1] ?? IDLE
          if (pass instanceof Error) throw pass
          return pass
        },
      },
      onExpired: latenessMs => seen.expired.push(latenessMs),
      logger,
    })
    return seen
  }

  async function restsMs(seen: { atMs: number[] }, count: number): Promise<number[]> {
    expirer.start()
    await eventually(`${count + 1} passes`, () => seen.atMs.length > count)
    return seen.atMs.slice(1, count + 1).map((at, i) => at - (seen.atMs[i] as number))
  }

  it('goes on at once after a full batch', async () => {
    const seen = setup([1, 2, 3].map(() => ({ latenessMs: FULL, nextInMs: 400 })))
    const rests = await restsMs(seen, 3)
    assert.ok(Math.max(...rests) < 200, rests.join(', '))
    assert.deepEqual(seen.limits.slice(0, 4), [1000, 1000, 1000, 1000])
  })

  it('sleeps until the next object expires after a short batch', async () => {
    const [rest = 0] = await restsMs(setup([{ latenessMs: [1], nextInMs: 120 }]), 1)
    // A timer may be up to a millisecond early.
    assert.ok(rest >= 119 && rest < 400, `${rest} ms`)
  })

  it('looks regularly although nothing expires soon, because other processes store objects too', async () => {
    const rests = await restsMs(setup([{ latenessMs: [], nextInMs: 3_600_000 }, IDLE]), 2)
    for (const rest of rests) assert.ok(rest >= 499 && rest < 900, `${rest} ms`)
  })

  it('never rests for less than the minimum, even if the next object has expired already', async () => {
    const rests = await restsMs(setup([-50, 0, 0.01, -1e9].map(nextInMs => ({ latenessMs: [], nextInMs }))), 4)
    for (const rest of rests) assert.ok(rest >= 2 && rest < 200, `${rest} ms`)
  })

  it('reports how late each object was deleted, and nothing if there was none', async () => {
    const seen = setup([{ latenessMs: [1, 2.5], nextInMs: 1 }, { latenessMs: [], nextInMs: 1 }, { latenessMs: [7], nextInMs: 1 }, IDLE])
    await restsMs(seen, 3)
    assert.deepEqual(seen.expired, [[1, 2.5], [7]])
  })

  it('goes on when the database is back', async () => {
    const seen = setup([new StorageUnavailableError('down'), { latenessMs: [5000], nextInMs: undefined }])
    expirer.start()
    await eventually('it has deleted', () => seen.expired.length === 1)
    assert.deepEqual(seen.expired, [[5000]])
  })

  it('deletes nothing more once it is stopped', async () => {
    const seen = setup(Array.from({ length: 100 }, () => ({ latenessMs: [], nextInMs: 1 })))
    await restsMs(seen, 1)
    await expirer.stop()
    const { length } = seen.limits
    await sleep(30)
    assert.equal(seen.limits.length, length)
  })

  it('stops without waiting for the rest to end', async () => {
    const seen = setup([{ latenessMs: [], nextInMs: 3_600_000 }])
    expirer.start()
    await eventually('it rests', () => seen.atMs.length === 1)
    const started = performance.now()
    await expirer.stop()
    assert.ok(performance.now() - started < 2000)
  })
})
