import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { requestIdOf } from '#foundation/http/request-id.ts'
import { context, trace } from '#foundation/telemetry/spans.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { ClaimQuota } from '../../domain/processing/claim-quota.ts'
import { ClaimTurns } from '../../domain/processing/claim-turns.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { CallbackWorker } from '../../workers/callback-worker.ts'
import { logger } from './silent-logger.ts'
import { COMPLETED, CRASHED, callbacksOf, claimed, quotaFor, workerInMemory } from './worker-in-memory.ts'

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
    assert.deepEqual(seen.settledAs, ['completed'])
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
      emit: ({ event }) => {
        if (event === 'claimed') mostRunning = Math.max(mostRunning, worker.running + 1)
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
    assert.ok(seen.claims.every(([, quota]) => callbacksOf(quota) >= 1 && callbacksOf(quota) <= 2))
  })

  const SHARES = [{ workspace: 'shop', callbacks: 2, objects: 9, minAgeMs: 0 }]
  const GROUP = { crashes: 3, callbacks: 2, objects: 9, excluded: [] }
  for (const [what, quota, found, looks] of [
    ['again at once while a workspace may have more', { shares: SHARES }, ['a', 'b'], 2],
    ['no more when none has', { shares: SHARES }, ['a'], 1],
    ['again at once when it found as many suspects as there is room for', { suspects: GROUP }, ['a', 'b'], 2],
    ['no more when it found fewer', { suspects: GROUP }, ['a'], 1],
    ['for suspects at once when they wait and nothing runs', { shares: SHARES, suspectsWait: true }, [], 2],
    ['for suspects at once when they wait and no workspace has anything', { shares: [], suspectsWait: true }, [], 2],
    ['for no suspects while something runs', { shares: SHARES, suspectsWait: true }, ['a'], 1],
  ] as const) {
    it(`looks ${what}`, async () => {
      let count = 0
      const atFirst = (): ClaimQuota | undefined => {
        count += 1
        return count === 1 ? quota : undefined
      }
      setup({ quota: atFirst }, { claim: async () => found.map(claimed) })
      worker.start()
      await new Promise(setImmediate)
      assert.equal(count, looks)
    })
  }

  for (const [what, quota] of [
    ['callbacks', { shares: SHARES }],
    ['suspects', { suspects: GROUP }],
  ] as const) {
    it(`tells the turns which ${what} it has begun, and that they have ended`, async () => {
      const turns = new ClaimTurns({
        find: () => ({ isPaused: false, weight: 1, breaker: { state: 'closed', waitMs: 0 } }),
        requests: { inFlight: 0, waiting: 0, concurrency: 10, requestsOf: () => ({ inFlight: 0, waiting: 0 }) },
        maxRunning: 10,
      })
      let isFirst = true
      const once = (): ClaimQuota | undefined => {
        const wanted = isFirst ? quota : undefined
        isFirst = false
        return wanted
      }
      const { started, end, seen } = setup({ turns, quota: once }, { claim: async () => [claimed('a'), claimed('b')] })
      worker.start()
      await started('a', 'b')
      assert.equal(turns.room?.callbacks, 8)
      end('a')
      end('b')
      await eventually('both have left', () => seen.released.length === 2)
      assert.equal(turns.room?.callbacks, 10)
    })
  }

  it('claims for a workspace at once, without a survey, when a callback of it arrives', async () => {
    let surveys = 0
    const { seen, inbox, started } = setup({
      survey: async () => {
        surveys += 1
        return []
      },
    })
    worker.start()
    await eventually('it has looked', () => seen.claims.length === 1)
    inbox.push(claimed('a'))
    worker.arrived('shop')
    await started('a')
    assert.deepEqual([seen.arrived, surveys], [['shop'], 1])
  })

  it('notes the workspaces that a survey finds before it claims', async () => {
    const { seen } = setup(
      { survey: async () => ['shop', 'bank'] },
      {
        claim: async () => {
          claimsSeen.push([...seen.arrived])
          return []
        },
      },
    )
    const claimsSeen: string[][] = []
    worker.start()
    await eventually('it has claimed', () => claimsSeen.length > 0)
    assert.deepEqual(claimsSeen[0], ['shop', 'bank'])
  })

  it('surveys again soon after a survey that took long', async () => {
    let surveys = 0
    setup({
      pollMs: 5,
      survey: async () => {
        surveys += 1
        if (surveys === 1) await sleep(400)
        return []
      },
    })
    worker.start()
    await sleep(400 + 1500)
    assert.ok(surveys >= 2, 'callbacks whose next attempt is due wait for a survey')
  })

  it('surveys again after a wake that came during a survey', async () => {
    const surveys: (() => void)[] = []
    setup({ survey: () => new Promise(resolve => surveys.push(() => resolve([]))) })
    worker.start()
    await eventually('it surveys', () => surveys.length === 1)
    worker.wake()
    surveys[0]?.()
    await eventually('it surveys again', () => surveys.length === 2)
    surveys[1]?.()
  })

  it('says which callbacks have left', async () => {
    const { seen, put, end, started, released } = setup()
    put('a', 'b')
    worker.start()
    await started('a', 'b')
    end('a')
    await released('a')
    assert.deepEqual(seen.left, ['a'])
  })

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
        'answerback.workspace': 'shop',
        'answerback.callback.attempt': 1,
        'answerback.object.count': 0,
        'answerback.callback.state': 'completed',
      })
    } finally {
      await telemetry.stop()
    }
  })
})
