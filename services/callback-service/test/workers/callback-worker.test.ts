import assert from 'node:assert/strict'
import { pino } from 'pino'
import { requestIdOf } from '#foundation/http/request-id.ts'
import { context, trace } from '#foundation/telemetry/spans.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { ClaimQuota } from '../../domain/processing/claim-quota.ts'
import type { ClaimedCallback } from '../../domain/processing/claimed-callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { CallbackWorker } from '../../workers/callback-worker.ts'
import { logger } from './silent-logger.ts'
import { COMPLETED, CRASHED, claimed, quotaFor, workerInMemory } from './worker-in-memory.ts'

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
    assert.equal(seen.claims.length, 1, 'there was room for all: nothing to look for')
  })

  it('continues with others while one is slow', async () => {
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
      quota: running => quotaFor(2 - running),
      onClaimed: () => {
        mostRunning = Math.max(mostRunning, worker.running + 1)
      },
    })
    put('a', 'b', 'c', 'd', 'e')
    worker.start()
    await started('a', 'b')
    // The next poll is in an hour, so only the end of a callback can start the next one.
    end('a')
    await started('c')
    end('b')
    end('c')
    await started('d', 'e')
    assert.equal(mostRunning, 2)
    assert.ok(seen.claims.every(([, quota]) => quota.callbacks >= 1 && quota.callbacks <= 2))
  })

  const rows = (...objects: number[]): ClaimedCallback[] =>
    objects.map((count, i) => ({ ...claimed(String(i)), missingIds: Array.from({ length: count }, (_, id) => BigInt(id)) }))
  for (const [what, quota, found, looks] of [
    ['again at once when it found as many callbacks as there is room for', { callbacks: 2, objects: 9 }, rows(1, 1), 2],
    ['again at once when it found as many objects as there is room for', { callbacks: 9, objects: 3 }, rows(1, 2), 2],
    ['no more when it found fewer of both', { callbacks: 3, objects: 4 }, rows(1, 2), 1],
    ['no more when it found nothing', { callbacks: 3, objects: 4 }, [], 1],
    ['for suspects at once when they wait and nothing runs', { callbacks: 3, objects: 4, suspectsWait: true }, [], 2],
    ['for no suspects while something runs', { callbacks: 3, objects: 4, suspectsWait: true }, rows(1), 1],
  ] as const) {
    it(`looks ${what}`, async () => {
      let count = 0
      const atFirst = (): ClaimQuota | undefined => {
        count += 1
        return count === 1 ? { minAgeMs: 0, ...quota } : undefined
      }
      setup({ quota: atFirst }, { claim: async () => [...found] })
      worker.start()
      await new Promise(setImmediate)
      assert.equal(count, looks)
    })
  }

  it('claims nothing while there is no room', async () => {
    let quota = 0
    let looks = 0
    const { seen, put, started } = setup({
      quota: () => {
        looks += 1
        return quotaFor(quota)
      },
      pollMs: 1,
    })
    put('a')
    worker.start()
    await eventually('it has looked', () => looks > 3)
    assert.deepEqual(seen.claims, [])
    quota = 1
    await started('a')
  })

  it('polls for callbacks that others accepted', async () => {
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
      workerNumber: () => {
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
    const lines: string[] = []
    const log = pino({}, { write: line => lines.push(line) })
    const { processing, seen, put, end, started, released } = setup({ logger: log })
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
    const { callback_id, attempt, err } = JSON.parse(lines[0] ?? '')
    assert.deepEqual([lines.length, callback_id, attempt, err.message], [1, 'a', 1, 'bug'])
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
    const { processing, seen, put, end, started, released } = setup({ quota: running => quotaFor(3 - running) })
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

  it('works in the trace and with the request id of the callback', async () => {
    const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 1, logger })
    telemetry.start()
    try {
      const traceId = 'a'.repeat(32)
      const seen: unknown[] = []
      let span: unknown
      const { inbox, released } = setup({
        process: async () => {
          const active = context.active()
          seen.push(trace.getSpanContext(active)?.traceId, requestIdOf(active))
          span = trace.getSpan(active)
          return COMPLETED
        },
      })
      inbox.push({ ...claimed('a'), trace: { traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }, requestId: 'request-1' })
      worker.start()
      await released('a')
      assert.deepEqual(seen, [traceId, 'request-1'])
      assert.deepEqual((span as { attributes: object }).attributes, {
        'answerback.callback.id': 'a',
        'answerback.callback.attempt': 1,
        'answerback.object.count': 0,
        'answerback.callback.state': 'completed',
      })
    } finally {
      await telemetry.stop()
    }
  })
})
