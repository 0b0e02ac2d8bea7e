import assert from 'node:assert/strict'
import { requestIdOf } from '#foundation/request-id.ts'
import { context, Telemetry, trace } from '#foundation/telemetry.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { CallbackWorker } from '../../workers/callback-worker.ts'
import { logger } from './silent-logger.ts'
import { COMPLETED, CRASHED, claimed, roomFor, workerInMemory } from './worker-in-memory.ts'

describe('CallbackWorker', () => {
  let worker: CallbackWorker

  afterEach(() => worker.stop())

  function setup(...changes: Parameters<typeof workerInMemory>) {
    const memory = workerInMemory(...changes)
    worker = memory.worker
    return memory
  }

  it('starts what it claims at once, and settles each when it is done', async () => {
    const { seen, put, end, started, released } = setup()
    put('a', 'b', 'c')
    worker.start()
    await started('a', 'b', 'c')
    assert.equal(worker.running, 3)
    assert.deepEqual(seen.settled, [])
    end('b')
    await released('b')
    assert.deepEqual(seen.settled, [['b', COMPLETED]])
    assert.deepEqual(seen.counted, [COMPLETED])
    assert.equal(worker.running, 2)
  })

  it('goes on with others while one takes its time', async () => {
    const { seen, put, end, started, released } = setup()
    worker.start()
    put('slow')
    await started('slow')
    for (const id of ['1', '2', '3']) {
      put(id)
      await started(id)
      end(id)
      await released(id)
    }
    assert.deepEqual(
      seen.settled.map(([id]) => id),
      ['1', '2', '3'],
    )
    assert.equal(worker.running, 1)
  })

  it('claims no more than there is room for, and more as soon as there is', async () => {
    let mostRunning = 0
    const { seen, put, end, started } = setup({
      room: running => roomFor(2 - running),
      onClaimed: () => {
        mostRunning = Math.max(mostRunning, worker.running + 1)
      },
    })
    put('a', 'b', 'c', 'd', 'e')
    worker.start()
    await started('a', 'b')
    // The poll comes in an hour: only the end of a callback can let the next one in.
    end('a')
    await started('c')
    end('b')
    end('c')
    await started('d', 'e')
    assert.equal(mostRunning, 2)
    assert.ok(seen.claims.every(([, room]) => room.callbacks >= 1 && room.callbacks <= 2))
  })

  it('claims nothing while there is no room', async () => {
    let room = 0
    let looks = 0
    const { seen, put, started } = setup({
      room: () => {
        looks += 1
        return roomFor(room)
      },
      pollMs: 1,
    })
    put('a')
    worker.start()
    await eventually('it has looked', () => looks > 3)
    assert.deepEqual(seen.claims, [])
    room = 1
    await started('a')
  })

  it('looks by itself for what others accepted', async () => {
    const { inbox, started } = setup({ pollMs: 5 })
    worker.start()
    inbox.push(claimed('a'))
    await started('a')
    inbox.push(claimed('b'))
    await started('b')
  })

  it('claims nothing without a number, and in its own name with one', async () => {
    let number: number | undefined
    const asked: unknown[] = []
    const { seen, put, started } = setup({
      worker: () => {
        asked.push(number)
        return number
      },
      pollMs: 1,
    })
    put('a')
    worker.start()
    await eventually('it has looked', () => asked.length > 3)
    assert.deepEqual(seen.claims, [])
    number = 8
    await started('a')
    assert.equal(seen.claims[0]?.[0], 8)
  })

  it('settles a callback whose processing crashes as crashed, and goes on with the others', async () => {
    const { processing, seen, put, end, started, released } = setup()
    put('a', 'b')
    worker.start()
    await started('a', 'b')
    processing.get('a')?.crash(new TypeError('bug'))
    await released('a')
    end('b')
    await released('b')
    assert.deepEqual(seen.settled, [
      ['a', CRASHED],
      ['b', COMPLETED],
    ])
  })

  it('goes on claiming when the database is back', async () => {
    let tries = 0
    const { inbox, put, started } = setup(
      {},
      {
        claim: async () => {
          tries += 1
          if (tries < 3) throw new StorageUnavailableError('down')
          return inbox.splice(0)
        },
      },
    )
    put('a')
    worker.start()
    await started('a')
  })

  it('releases each callback once, however it ended', async () => {
    const { processing, seen, put, end, started, released } = setup({ room: running => roomFor(3 - running) })
    const ids = ['done', 'crashed', 'again', 'interrupted', 'interrupted too']
    put(...ids)
    worker.start()
    await started('done', 'crashed', 'again')
    end('done')
    processing.get('crashed')?.crash(new Error('bug'))
    end('again', CRASHED)
    await released('done', 'crashed', 'again')
    await started('interrupted', 'interrupted too')
    await worker.stop()
    assert.deepEqual(seen.released.toSorted(), ids.toSorted())
  })

  it('works in the trace and under the request id of the callback', async () => {
    const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 1, logger })
    telemetry.start()
    try {
      const traceId = 'a'.repeat(32)
      const seen: unknown[] = []
      const { inbox, released } = setup({
        process: async () => {
          const active = context.active()
          seen.push(trace.getSpanContext(active)?.traceId, requestIdOf(active))
          return COMPLETED
        },
      })
      inbox.push({ ...claimed('a'), trace: { traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }, requestId: 'request-1' })
      worker.start()
      await released('a')
      assert.deepEqual(seen, [traceId, 'request-1'])
    } finally {
      await telemetry.stop()
    }
  })
})
