import assert from 'node:assert/strict'
import { mock } from 'node:test'
import type { ObjectId } from '#fetching/object-id.ts'
import type { Outcome } from '#fetching/outcome.ts'
import { createLogger } from '#foundation/telemetry/logger.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { AnswerbackUnavailableError, LeaseLostError, RequestRefusedError } from '../../domain/answerback-errors.ts'
import type { DeliveredObject, Lease, Verdict } from '../../domain/lease.ts'
import { LeaseWork, type LeaseWorkOptions } from '../../workers/lease-work.ts'

const LEASE: Lease = {
  location: '/v1/leases/t',
  objects: '/v1/leases/t/objects',
  objectIds: [1n, 2n],
  attempt: 1,
  durationMs: 30_000,
  trace: {},
  requestId: undefined,
}
const STORED = { kind: 'stored', answer: { online: true } } as const
const logger = await createLogger('test', 'silent')
const NEVER = new Promise<never>(() => undefined)

describe('the work on a lease', () => {
  let deliveries: (readonly DeliveredObject[])[]
  let verdicts: Verdict[]
  let extensions: number

  beforeEach(() => {
    deliveries = []
    verdicts = []
    extensions = 0
  })

  function work(
    options: Partial<Omit<LeaseWorkOptions, 'answerback'>> & { answerback?: Partial<LeaseWorkOptions['answerback']> } = {},
    lease = LEASE,
    atMs = performance.now(),
  ) {
    return new LeaseWork(lease, atMs, {
      fetch: async () => STORED,
      mayHold: () => false,
      backoff: { baseMs: 1, maxMs: 5 },
      random: () => 1,
      onDelivered: () => undefined,
      onUnavailable: () => undefined,
      logger,
      ...options,
      answerback: {
        deliver: async (_lease, objects) => void deliveries.push(objects),
        extend: async () => {
          extensions += 1
        },
        end: async (_lease, verdict) => {
          verdicts.push(verdict)
          return verdict.state
        },
        ...options.answerback,
      },
    })
  }

  it('delivers objects that come together in one request', async () => {
    assert.equal(await work({}, { ...LEASE, objectIds: Array.from({ length: 1500 }, (_, i) => BigInt(i)) }).run(), 'completed')
    assert.deepEqual(
      deliveries.map(({ length }) => length),
      [1000, 500],
    )
  })

  it('delivers an object although another one is still being fetched', async () => {
    const late = Promise.withResolvers<Outcome>()
    const running = work({ fetch: id => (id === 1n ? Promise.resolve(STORED) : late.promise) }).run()
    await eventually('it is delivered', () => deliveries.length === 1)
    assert.deepEqual(deliveries, [[{ id: 1n, online: true }]])
    late.resolve({ kind: 'not_found' })
    assert.equal(await running, 'completed')
  })

  it('delivers the last objects without waiting for more', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      assert.equal(await work().run(), 'completed')
    } finally {
      mock.timers.reset()
    }
  })

  it('counts fetches as fresh only if they leave after the lease came', async () => {
    const before = performance.now()
    let freshFromMs = 0
    await work({
      fetch: async (_id, asker) => {
        freshFromMs = asker.freshFromMs
        return STORED
      },
    }).run()
    assert.ok(freshFromMs >= before && freshFromMs <= performance.now())
  })

  it('ends without another request when a delivery finds the lease lost', async () => {
    const recalled: ObjectId[] = []
    const running = work({
      fetch: (id, _asker, recall) => {
        if (id === 1n) return Promise.resolve(STORED)
        return recall.orEarlier(NEVER).finally(() => recalled.push(id))
      },
      answerback: { deliver: () => Promise.reject(new LeaseLostError()) },
    }).run()
    assert.equal(await running, 'lost')
    assert.deepEqual([verdicts, recalled], [[], [2n]])
  })

  it('gives the callback back, charged, if a delivery is refused for good', async () => {
    const running = work({ answerback: { deliver: () => Promise.reject(new RequestRefusedError('not_wanted')) } }).run()
    assert.equal(await running, 'pending')
    const pending = { outcome: 'pending', reason: 'internal_error' } as const
    assert.deepEqual(verdicts, [
      {
        state: 'pending',
        unstored: [
          { id: 1n, ...pending },
          { id: 2n, ...pending },
        ],
        isCharged: true,
        retryAfterMs: 0,
      },
    ])
  })

  it('keeps what was delivered if a fetch throws', async () => {
    const running = work({ fetch: id => (id === 1n ? Promise.resolve(STORED) : Promise.reject(new Error('a bug'))) }).run()
    assert.equal(await running, 'pending')
    assert.deepEqual(deliveries, [[{ id: 1n, online: true }]])
    assert.deepEqual(verdicts[0]?.unstored, [{ id: 2n, outcome: 'pending', reason: 'internal_error' }])
  })

  it('is lost if its verdict is refused, and again when it gives the callback back', async () => {
    assert.equal(await work({ answerback: { end: () => Promise.reject(new RequestRefusedError('objects_missing')) } }).run(), 'lost')
  })

  it('repeats requests while the lease may live, and no longer', async () => {
    let tries = 0
    const away = async (): Promise<void> => {
      tries += 1
      throw new AnswerbackUnavailableError('connection')
    }
    const started = performance.now()
    assert.equal(await work({ answerback: { deliver: away, extend: away } }, { ...LEASE, durationMs: 100 }).run(), 'lost')
    assert.ok(tries > 5, `${tries} tries`)
    assert.ok(performance.now() - started >= 100)
  })

  it('asks once more although the lease must have ended, because this machine may have slept', async () => {
    const late = Promise.withResolvers<Outcome>()
    const answerback = { extend: () => NEVER }
    const running = work({ fetch: () => late.promise, answerback }, { ...LEASE, durationMs: 1 }).run()
    await new Promise(resolve => setTimeout(resolve, 10))
    late.resolve(STORED)
    assert.equal(await running, 'completed')
  })

  it('extends the lease at half of its time, but not while deliveries do', async () => {
    const late = Promise.withResolvers<Outcome>()
    const running = work({ fetch: () => late.promise }, { ...LEASE, durationMs: 40 }).run()
    await eventually('it is extended', () => extensions >= 3)
    late.resolve(STORED)
    assert.equal(await running, 'completed')
    const before = extensions
    await new Promise(resolve => setTimeout(resolve, 50))
    assert.equal(extensions, before)
  })

  it('recalls its fetches if it cannot be extended', async () => {
    for (const error of [new LeaseLostError(), new RequestRefusedError('out_of_range')]) {
      const running = work({ fetch: () => NEVER, answerback: { extend: () => Promise.reject(error) } }, { ...LEASE, durationMs: 10 }).run()
      assert.equal(await running, 'lost')
    }
  })

  it('holds objects of a client service that is down only while it may', async () => {
    let asked = 0
    let isDown = true
    const fetch = async (): Promise<Outcome> => {
      asked += 1
      if (asked > 2) isDown = false
      return isDown ? { kind: 'pending', reason: 'client_service_unavailable', isCharged: false } : STORED
    }
    const lease = { ...LEASE, objectIds: [1n] }
    assert.equal(await work({ fetch, mayHold: () => true }, lease).run(), 'completed')
    isDown = true
    asked = 0
    assert.equal(await work({ fetch }, lease).run(), 'pending')
    assert.equal(asked, 1)
  })

  it('holds objects for a minute at most', async () => {
    for (const [heldMs, state, requests] of [
      [58_000, 'completed', 2],
      [60_000, 'pending', 1],
    ] as const) {
      let asked = 0
      const fetch = async (): Promise<Outcome> => {
        asked += 1
        return asked === 1 ? { kind: 'pending', reason: 'client_service_unavailable', isCharged: false } : STORED
      }
      const running = work({ fetch, mayHold: () => true }, { ...LEASE, objectIds: [1n] }, performance.now() - heldMs).run()
      assert.deepEqual([await running, asked], [state, requests])
    }
  })

  it('does not repeat a request any more once it is abandoned', async () => {
    let tries = 0
    const away = new AnswerbackUnavailableError('http_503', { retryAfterMs: 60_000 })
    const abandoned = work({
      answerback: {
        deliver: async () => {
          tries += 1
          throw away
        },
      },
    })
    const running = abandoned.run()
    await eventually('it has tried', () => tries === 1)
    abandoned.abandon()
    assert.equal(await running, 'lost')
    assert.equal(tries, 2)
  })
})
