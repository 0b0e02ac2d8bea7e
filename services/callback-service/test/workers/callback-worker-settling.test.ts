import assert from 'node:assert/strict'
import { pino } from 'pino'
import { eventually } from '../../../../test/support/eventually.ts'
import type { CallbackState } from '../../domain/callback.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import type { CallbackWorker } from '../../workers/callback-worker.ts'
import { COMPLETED, workerInMemory } from './worker-in-memory.ts'

describe('CallbackWorker, settling', () => {
  let worker: CallbackWorker

  afterEach(() => worker.stop())

  /** Makes a worker that has processed callback `a` and settles it. */
  async function settling(settle: (tries: number) => Promise<CallbackState | undefined>) {
    const count = { tries: 0 }
    const lines: Record<string, unknown>[] = []
    const memory = workerInMemory(
      { logger: pino({}, { write: line => lines.push(JSON.parse(line)) }) },
      {
        settle: () => {
          count.tries += 1
          return settle(count.tries)
        },
      },
    )
    worker = memory.worker
    memory.put('a')
    worker.start()
    await memory.started('a')
    memory.end('a')
    /** Returns the log lines at level warn and above. */
    const logged = (): unknown[] => lines.map(({ msg, callback_id, err }) => [msg, callback_id, (err as Error).message])
    return { ...memory, count, logged }
  }

  it('tries again until the storage is back', async () => {
    const { seen, count, released } = await settling(async tries => {
      if (tries < 2) throw new StorageUnavailableError('down')
      return 'completed'
    })
    await released('a')
    assert.equal(count.tries, 2)
    assert.equal(seen.settledAs.length, 1)
  })

  for (const [verdict, level] of [
    [{ state: 'failed', unstored: [] }, 50],
    [COMPLETED, 20],
  ] as const) {
    it(`logs at level ${level} that a callback is ${verdict.state}`, async () => {
      const lines: Record<string, unknown>[] = []
      const memory = workerInMemory({ logger: pino({ level: 'debug' }, { write: line => lines.push(JSON.parse(line)) }) })
      worker = memory.worker
      memory.put('a')
      worker.start()
      await memory.started('a')
      memory.end('a', verdict)
      await memory.released('a')
      assert.deepEqual(
        lines.map(({ level, msg, callback_id }) => [level, msg, callback_id]),
        [[level, verdict.state === 'failed' ? 'callback failed' : 'callback left its worker', 'a']],
      )
    })
  }

  it('counts nothing when the claim was lost', async () => {
    const { seen, released } = await settling(async () => undefined)
    await released('a')
    assert.deepEqual(seen.settledAs, [])
  })

  it('gives up when Postgres refuses the verdict, so that the callback can be taken over', async () => {
    const { seen, count, released, logged } = await settling(async () => {
      throw new ValueRefusedError('no')
    })
    await released('a')
    assert.equal(count.tries, 1)
    assert.deepEqual(seen.settledAs, [])
    assert.deepEqual(logged(), [['callback could not be settled', 'a', 'no']])
  })

  it('gives up when the worker stops while the storage is away', async () => {
    const { seen, count, logged } = await settling(async () => {
      throw new StorageUnavailableError('down')
    })
    await eventually('it was tried', () => count.tries > 0)
    await worker.stop()
    assert.deepEqual([seen.released, seen.settledAs], [['a'], []])
    assert.deepEqual(logged(), [['callback not given back: another worker will take it over', 'a', 'down']])
    assert.ok(count.tries <= 2)
  })

  it('tells the state that the callback got, which may not be that of the verdict', async () => {
    const { seen, released } = await settling(async () => 'cancelled')
    await released('a')
    assert.deepEqual(seen.settledAs, ['cancelled'])
  })

  it('recalls only the callbacks that it is told to, and only while they are processed', async () => {
    const memory = workerInMemory()
    worker = memory.worker
    memory.put('a', 'b')
    worker.start()
    await memory.started('a', 'b')
    worker.recall(['a', 'unknown'])
    const isCalled = (id: string): boolean | undefined => memory.processing.get(id)?.recall.isCalled
    assert.deepEqual([isCalled('a'), isCalled('b')], [true, false])
    memory.end('b')
    await memory.released('b')
    worker.recall(['b'])
    assert.equal(isCalled('b'), false)
  })
})
