import assert from 'node:assert/strict'
import { RecentFetches } from '../../callback-service/domain/activity/recent-fetches.ts'
import { CircuitBreaker, type CircuitBreakerOptions, type Pass } from '../circuit-breaker.ts'
import { FairSlots } from '../fair-slots.ts'
import { FetchError, type FetchedObject, type ObjectAnswer } from '../fetched-object.ts'
import { ObjectFetcher, type ObjectFetcherOptions } from '../object-fetcher.ts'
import { SharedFetches, type SharedFetchesOptions } from '../shared-fetches.ts'

const breakerOptions = { objects: 100, openMs: 1000, maxOpenMs: 1000, maxPauseMs: 60_000, onResumed: () => undefined }
const pushBack = (retryAfterMs: number): FetchError => new FetchError('http_429', { isRetryable: true, isHostTrouble: false, retryAfterMs })
const trouble = (reason = 'timeout'): FetchError => new FetchError(reason, { isRetryable: true, isHostTrouble: true })

class StoreDown extends Error {}
const troubleOf = (error: unknown): string | undefined => (error instanceof StoreDown ? 'storage_unavailable' : undefined)

/** Makes shared fetches whose requests the test answers and whose clock it sets. */
function setup(
  { concurrency = 10, ...options }: Partial<ObjectFetcherOptions & SharedFetchesOptions> & { concurrency?: number } = {},
  breaker: Partial<CircuitBreakerOptions> = {},
) {
  const state = { nowMs: 1000, slept: [] as number[], stored: [] as FetchedObject[], shared: [] as bigint[], active: 0, mostActive: 0 }
  const asked: { id: bigint; answer: (online: boolean | undefined) => void; fail: (error: Error) => void }[] = []
  const rests = {
    rest: async (ms: number) => {
      state.slept.push(ms)
      state.nowMs += ms
    },
    endAll: () => undefined,
  }
  const slots = new FairSlots({ concurrency, reserve: 0, weightOf: () => 1 })
  const fetcher = new ObjectFetcher({
    source: {
      fetch: id => {
        state.active += 1
        state.mostActive = Math.max(state.mostActive, state.active)
        return new Promise<ObjectAnswer | undefined>((resolve, reject) => {
          asked.push({ id, answer: online => resolve(online === undefined ? undefined : { online }), fail: reject })
        }).finally(() => {
          state.active -= 1
        })
      },
    },
    breaker: new CircuitBreaker({ ...breakerOptions, nowMs: () => state.nowMs, ...breaker }),
    onFetched: () => undefined,
    slots,
    maxTries: 3,
    backoff: { baseMs: 200, maxMs: 1000 },
    maxHoldMs: 2000,
    databaseNowMs: () => 5_000_000 + state.nowMs,
    nowMs: () => state.nowMs,
    rests,
    holds: rests,
    random: () => 0.5,
    ...options,
  })
  const recent = new RecentFetches({ nowMs: () => state.nowMs })
  const sharedFetches = new SharedFetches({
    workspace: 'shop',
    fetcher,
    store: {
      upsert: async object => {
        state.stored.push(object)
      },
      troubleOf,
    },
    keepOffline: true,
    onShared: id => state.shared.push(id),
    recent,
    ...options,
  })
  return { slots, fetcher, sharedFetches, asked, state, recent }
}

/** Makes the breaker of a host that is down. Its clock does not move, so the next probe is always `openMs` away. */
function openBreaker(openMs: number): CircuitBreaker {
  let nowMs = 0
  const breaker = new CircuitBreaker({ ...breakerOptions, objects: 1, openMs, maxOpenMs: openMs, nowMs: () => nowMs })
  breaker.report(breaker.admit(9n) as Pass, 'failed')
  nowMs = 650
  return breaker
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const callback = (freshFromMs = 1000, receivedAtMs = 5_000_000 + freshFromMs) => ({ id: 'a', attempt: 1, freshFromMs, receivedAtMs })

describe('SharedFetches', () => {
  it('stores what it fetched, with the time when the request left', async () => {
    const { sharedFetches, asked, state } = setup()
    const outcome = sharedFetches.fetch(7n, callback())
    await turn()
    state.nowMs = 5000
    asked[0]?.answer(true)
    assert.equal((await outcome).kind, 'stored')
    assert.deepEqual(state.stored, [{ id: 7n, online: true, leftAtMs: 1000, fetchedAtMs: 5_001_000 }])
  })

  it('never has more requests under way than its concurrency, also after it changed', async () => {
    const { slots, sharedFetches, asked, state } = setup({ concurrency: 2 })
    const outcomes = Promise.all([1n, 2n, 3n, 4n, 5n].map(id => sharedFetches.fetch(id, callback())))
    await turn()
    assert.equal(asked.length, 2)
    slots.concurrency = 4
    await turn()
    assert.equal(asked.length, 4)
    for (let i = 0; i < 5; i += 1) {
      asked[i]?.answer(true)
      await turn()
    }
    await outcomes
    assert.equal(state.mostActive, 4)
  })

  it('sends one request for an id that several callbacks want before it leaves', async () => {
    const { sharedFetches, asked, state } = setup({ concurrency: 1 })
    const blocker = sharedFetches.fetch(1n, callback())
    const first = sharedFetches.fetch(2n, callback())
    const second = sharedFetches.fetch(2n, callback(1500))
    await turn()
    asked[0]?.answer(true)
    await blocker
    await turn()
    asked[1]?.answer(true)
    assert.deepEqual([(await first).kind, (await second).kind], ['stored', 'stored'])
    assert.equal(asked.length, 2)
    assert.deepEqual(state.shared, [2n])
  })

  describe('remembers for each callback', () => {
    const fetchesOf = ({ recent }: ReturnType<typeof setup>, id: string) =>
      recent.of(id)?.fetches.map(({ startedMs, leftMs, endedMs, result, isShared }) => [startedMs, leftMs, endedMs, result, isShared])

    it('when a fetch began, left and ended, also that of another callback', async () => {
      const all = setup({ concurrency: 1 })
      const { sharedFetches, asked, state } = all
      const blocker = sharedFetches.fetch(1n, { ...callback(), id: 'other' })
      const own = sharedFetches.fetch(2n, callback())
      await turn()
      state.nowMs = 1300
      const joined = sharedFetches.fetch(2n, { ...callback(), id: 'b' })
      assert.deepEqual(fetchesOf(all, 'b'), [[1300, undefined, undefined, undefined, false]])
      asked[0]?.answer(true)
      await blocker
      await turn()
      state.nowMs = 2000
      asked[1]?.answer(true)
      await Promise.all([own, joined])
      assert.deepEqual(fetchesOf(all, 'a'), [[1000, 1300, 2000, 'stored', false]])
      assert.deepEqual(fetchesOf(all, 'b'), [[1300, 1300, 2000, 'stored', true]])
    })

    for (const [what, end, result] of [
      ['an object that is not there', (all: ReturnType<typeof setup>) => all.asked[0]?.answer(undefined), 'not_found'],
      [
        'a failure',
        (all: ReturnType<typeof setup>) => all.asked[0]?.fail(new FetchError('http_400', { isRetryable: false, isHostTrouble: false })),
        'http_400',
      ],
    ] as const) {
      it(what, async () => {
        const all = setup()
        const outcome = all.sharedFetches.fetch(7n, callback())
        await turn()
        end(all)
        await outcome
        assert.deepEqual(fetchesOf(all, 'a'), [[1000, 1000, 1000, result, false]])
      })
    }

    it('a fetch of its own after the failure of the one that it joined', async () => {
      const all = setup()
      const { sharedFetches, asked, state } = all
      const first = sharedFetches.fetch(7n, callback())
      await turn()
      const joined = sharedFetches.fetch(7n, { ...callback(), id: 'b' })
      asked[0]?.fail(new FetchError('http_400', { isRetryable: false, isHostTrouble: false }))
      await first
      state.nowMs = 1500
      await turn()
      asked[1]?.answer(true)
      await joined
      assert.deepEqual(fetchesOf(all, 'b'), [[1000, 1500, 1500, 'stored', false]])
    })

    it('a crash', async () => {
      const all = setup({ store: { upsert: () => Promise.reject(new Error('a bug')), troubleOf } })
      const outcome = all.sharedFetches.fetch(7n, callback())
      await turn()
      all.asked[0]?.answer(true)
      await assert.rejects(outcome, /a bug/)
      assert.deepEqual(fetchesOf(all, 'a'), [[1000, 1000, 1000, 'internal_error', false]])
    })
  })

  it('shares a request that left when the callback was accepted or later', async () => {
    const { sharedFetches, asked, state } = setup()
    state.nowMs = 2000
    const first = sharedFetches.fetch(1n, callback(1000))
    await turn()
    const second = sharedFetches.fetch(1n, callback(2000))
    asked[0]?.answer(true)
    await Promise.all([first, second])
    assert.equal(asked.length, 1)
  })

  it('sends its own request, once, if the joined one failed finally, because that carried the headers of another sender', async () => {
    const { sharedFetches, asked, state } = setup()
    const refusal = new FetchError('http_431', { isRetryable: false, isHostTrouble: false })
    const [guilty, innocent, alsoRefused] = [1, 2, 3].map(() => sharedFetches.fetch(1n, callback()))
    await turn()
    assert.equal(asked.length, 1)
    asked[0]?.fail(refusal)
    await turn()
    assert.equal(asked.length, 3)
    asked[1]?.answer(true)
    asked[2]?.fail(refusal)
    assert.deepEqual(await Promise.all([guilty, innocent, alsoRefused]), [
      { kind: 'failed', reason: 'http_431' },
      { kind: 'stored', answer: { online: true } },
      { kind: 'failed', reason: 'http_431' },
    ])
    assert.deepEqual([asked.length, state.shared], [3, []])
  })

  it('sends another request if the one under way left before the callback was accepted, because its answer may be old', async () => {
    const { sharedFetches, asked, state } = setup()
    const first = sharedFetches.fetch(1n, callback(1000))
    await turn()
    state.nowMs = 2000
    const second = sharedFetches.fetch(1n, callback(1500))
    await turn()
    assert.equal(asked.length, 2)
    for (const request of asked) request.answer(true)
    await Promise.all([first, second])
    assert.deepEqual(
      state.stored.map(object => object.leftAtMs),
      [1000, 2000],
    )
  })

  it('is joined between two tries, because the next request leaves after the callback was accepted', async () => {
    const { promise: left, resolve: leave } = Promise.withResolvers<void>()
    const { sharedFetches, asked, state } = setup({
      rests: { rest: ms => (ms > 1000 ? left : Promise.resolve()), endAll: () => undefined },
    })
    const first = sharedFetches.fetch(1n, callback(1000))
    await turn()
    asked[0]?.fail(pushBack(1500))
    await turn()
    state.nowMs = 2600
    const second = sharedFetches.fetch(1n, callback(1500))
    leave()
    await turn()
    asked[1]?.answer(true)
    assert.deepEqual([(await first).kind, (await second).kind], ['stored', 'stored'])
    assert.deepEqual([asked.length, state.shared], [2, [1n]])
  })

  it('shares the fresher of two requests for an id, also when the other one ends first', async () => {
    const { sharedFetches, asked, state } = setup()
    const first = sharedFetches.fetch(1n, callback(1000))
    await turn()
    state.nowMs = 2000
    const second = sharedFetches.fetch(1n, callback(1500))
    await turn()
    asked[0]?.answer(true)
    await first
    const third = sharedFetches.fetch(1n, callback(1500))
    await turn()
    asked[1]?.answer(true)
    await Promise.all([second, third])
    assert.equal(asked.length, 2)
  })

  for (const [clock, later] of [
    ["the database's", callback(1000, 5_001_001)],
    ["this process's", callback(1001, 5_001_000)],
  ] as const) {
    it(`sends another request if, by ${clock} clock, the one under way may have left before the callback came`, async () => {
      const { sharedFetches, asked } = setup()
      const first = sharedFetches.fetch(1n, callback(1000))
      await turn()
      const second = sharedFetches.fetch(1n, later)
      await turn()
      assert.equal(asked.length, 2)
      for (const request of asked) request.answer(true)
      await Promise.all([first, second])
    })
  }

  it('sends another request when none is under way', async () => {
    const { sharedFetches, asked } = setup()
    for (const times of [1, 2]) {
      const outcome = sharedFetches.fetch(1n, callback())
      await turn()
      asked[times - 1]?.answer(true)
      await outcome
      assert.equal(asked.length, times)
    }
  })

  it('treats a 404 as an answer', async () => {
    const { sharedFetches, asked } = setup()
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.answer(undefined)
    assert.deepEqual(await outcome, { kind: 'not_found' })
  })

  for (const [online, keepOffline] of [
    [true, false],
    [false, true],
  ] as const) {
    it(`says stored of an object that is ${online ? 'online where only such' : 'offline where those too'} are kept`, async () => {
      const { sharedFetches, asked } = setup({ keepOffline })
      const outcome = sharedFetches.fetch(1n, callback())
      await turn()
      asked[0]?.answer(online)
      assert.equal((await outcome).kind, 'stored')
    })
  }

  it('reports an offline object as offline if only online ones are kept, and stores it so that readers do not see it', async () => {
    const { sharedFetches, asked, state } = setup({ keepOffline: false })
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.answer(false)
    assert.equal((await outcome).kind, 'offline')
    assert.deepEqual(
      state.stored.map(({ id, online }) => [id, online]),
      [[1n, false]],
    )
  })

  it('tries again after trouble, with full jitter, and gives up until the next attempt when its tries are used up', async () => {
    const { sharedFetches, asked, state } = setup()
    const outcome = sharedFetches.fetch(1n, callback())
    for (let i = 0; i < 3; i += 1) {
      await turn()
      asked[i]?.fail(trouble('http_503'))
    }
    assert.deepEqual(await outcome, { kind: 'pending', reason: 'http_503', isCharged: true, retryAfterMs: 0 })
    // The last rest lasts until the failure is known to be the object's own.
    assert.deepEqual(state.slept, [100, 200, 1000])
  })

  it('does not try again after a final failure', async () => {
    const { sharedFetches, asked } = setup()
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.fail(new FetchError('http_403', { isRetryable: false, isHostTrouble: false }))
    assert.deepEqual(await outcome, { kind: 'failed', reason: 'http_403' })
    assert.equal(asked.length, 1)
  })

  it('asks an object again when its Retry-After is over, and others meanwhile', async () => {
    const { sharedFetches, asked, state } = setup()
    const first = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.fail(pushBack(1500))
    const second = sharedFetches.fetch(2n, callback())
    await turn()
    assert.deepEqual(
      asked.map(({ id }) => id),
      [1n, 2n, 1n],
    )
    assert.ok(state.nowMs >= 2500, `waited until ${state.nowMs}`)
    for (const request of asked.slice(1)) request.answer(true)
    assert.deepEqual([(await first).kind, (await second).kind], ['stored', 'stored'])
  })

  it('sends the callback back, charged, if its object sends a long Retry-After, and does not request it earlier for another callback', async () => {
    const { sharedFetches, asked } = setup()
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.fail(pushBack(5000))
    // One of the five seconds passed until it was known whether the host pushes back for other objects too.
    assert.deepEqual(await outcome, { kind: 'pending', reason: 'http_429', isCharged: true, retryAfterMs: 4000 - 100 })
    assert.deepEqual(await sharedFetches.fetch(1n, callback()), {
      kind: 'pending',
      reason: 'http_429',
      isCharged: true,
      retryAfterMs: 3900,
    })
    assert.equal(asked.length, 1)
  })

  it('charges no callback when several objects pause the host', async () => {
    const { sharedFetches, asked } = setup()
    const outcomes = [1n, 2n, 3n].map(id => sharedFetches.fetch(id, callback()))
    await turn()
    for (const request of asked) request.fail(pushBack(5000))
    for (const outcome of await Promise.all(outcomes)) assert.equal(outcome.kind === 'pending' && outcome.isCharged, false)
    assert.deepEqual(await sharedFetches.fetch(9n, callback()), {
      kind: 'pending',
      reason: 'client_service_unavailable',
      isCharged: false,
    })
    assert.equal(asked.length, 3)
  })

  it('sends a callback back uncharged when the host stays silent for too long', async () => {
    const { sharedFetches, asked } = setup({ breaker: openBreaker(60_000) })
    assert.deepEqual(await sharedFetches.fetch(1n, callback()), { kind: 'pending', reason: 'client_service_unavailable', isCharged: false })
    assert.equal(asked.length, 0)
  })

  it('waits up to a quarter longer than the breaker says, so that not all leave at once', async () => {
    const { sharedFetches, state } = setup({ breaker: openBreaker(1000) })
    await sharedFetches.fetch(1n, callback())
    assert.deepEqual(state.slept, [1125, 1125])
  })

  it('charges no attempt when it turns out, a moment after the last try, that the host is down', async () => {
    const { sharedFetches, asked, state } = setup({ maxTries: 1 }, { objects: 2 })
    const outcomes = [1n, 2n].map(id => sharedFetches.fetch(id, callback()))
    await turn()
    for (const request of asked) request.fail(trouble('connection'))
    for (const outcome of await Promise.all(outcomes)) {
      assert.deepEqual(outcome, { kind: 'pending', reason: 'connection', isCharged: false, retryAfterMs: 0 })
    }
    assert.ok(state.nowMs >= 2000)
  })

  it('asks an object that was answered before when many fail, and charges them when it is answered', async () => {
    const { promise: verdict, resolve: endRests } = Promise.withResolvers<void>()
    const { sharedFetches, asked, state } = setup(
      { maxTries: 1, concurrency: 2, rests: { rest: () => verdict, endAll: () => undefined } },
      { objects: 2 },
    )
    const good = sharedFetches.fetch(9n, callback())
    await turn()
    asked[0]?.answer(true)
    await good
    state.nowMs += 250
    const outcomes = [1n, 2n].map(id => sharedFetches.fetch(id, callback()))
    await turn()
    asked[1]?.fail(trouble('http_500'))
    asked[2]?.fail(trouble('http_500'))
    await turn()
    assert.deepEqual(
      asked.map(({ id }) => id),
      [9n, 1n, 2n, 9n],
    )
    asked[3]?.answer(true)
    await turn()
    state.nowMs += 1000
    endRests()
    for (const outcome of await Promise.all(outcomes)) assert.equal(outcome.kind === 'pending' && outcome.isCharged, true)
  })

  it('ends all holds when requests may leave again', async () => {
    const { promise: held, resolve: resume } = Promise.withResolvers<void>()
    const state = { nowMs: 0 }
    const breaker = new CircuitBreaker({ ...breakerOptions, objects: 1, onResumed: () => fetcher.resume(), nowMs: () => state.nowMs })
    const { fetcher, sharedFetches, asked } = setup({ breaker, holds: { rest: () => held, endAll: resume } })
    const bad = breaker.admit(7n)
    assert.ok(bad)
    breaker.report(bad, 'failed')
    const slow = breaker.admit(8n)
    assert.ok(slow)
    state.nowMs = 650
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    assert.equal(asked.length, 0)
    breaker.report(slow, 'answered')
    await turn()
    asked[0]?.answer(true)
    assert.equal((await outcome).kind, 'stored')
  })

  it('charges no attempt when the database could not store the object', async () => {
    const { sharedFetches, asked } = setup({ store: { upsert: () => Promise.reject(new StoreDown()), troubleOf } })
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.answer(true)
    assert.deepEqual(await outcome, { kind: 'pending', reason: 'storage_unavailable', isCharged: false })
  })

  it('gives back the fetches under way when it is stopped', async () => {
    const { fetcher, sharedFetches, asked } = setup({ concurrency: 1 })
    const outcomes = Promise.all([sharedFetches.fetch(1n, callback()), sharedFetches.fetch(2n, callback())])
    await turn()
    fetcher.stop()
    asked[0]?.fail(trouble('connection'))
    const interrupted = { kind: 'pending', reason: 'interrupted', isCharged: false }
    assert.deepEqual(await outcomes, [interrupted, interrupted])
    assert.equal(asked.length, 1)
  })

  it('begins no request for a callback that was recalled, unless another callback wants the object', async () => {
    const { sharedFetches, asked } = setup({ concurrency: 1 })
    const recall = { isCalled: false }
    const blocker = sharedFetches.fetch(1n, callback())
    const alone = sharedFetches.fetch(2n, callback(), recall)
    const together = Promise.all([sharedFetches.fetch(3n, callback(), recall), sharedFetches.fetch(3n, callback())])
    await turn()
    recall.isCalled = true
    asked[0]?.answer(true)
    await blocker
    assert.deepEqual(await alone, { kind: 'pending', reason: 'interrupted', isCharged: false })
    await turn()
    assert.deepEqual(
      asked.map(({ id }) => id),
      [1n, 3n],
    )
    asked[1]?.answer(true)
    assert.deepEqual(
      (await together).map(({ kind }) => kind),
      ['stored', 'stored'],
    )
  })

  it('sends no further request for a callback that was recalled', async () => {
    const { sharedFetches, asked } = setup()
    const recall = { isCalled: false }
    const outcome = sharedFetches.fetch(1n, callback(), recall)
    await turn()
    recall.isCalled = true
    asked[0]?.fail(trouble())
    assert.equal((await outcome).kind, 'pending')
    assert.equal(asked.length, 1)
  })

  it('lets a bug surface', async () => {
    const { sharedFetches, asked } = setup()
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.fail(new TypeError('bug'))
    await assert.rejects(outcome, TypeError)
  })

  it('lets a bug of the store surface', async () => {
    const { sharedFetches, asked } = setup({ store: { upsert: () => Promise.reject(new TypeError('bug')), troubleOf } })
    const outcome = sharedFetches.fetch(1n, callback())
    await turn()
    asked[0]?.answer(true)
    await assert.rejects(outcome, TypeError)
  })
})
