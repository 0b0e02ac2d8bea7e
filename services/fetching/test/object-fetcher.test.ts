import assert from 'node:assert/strict'
import { CircuitBreaker } from '../circuit-breaker.ts'
import { FairSlots } from '../fair-slots.ts'
import { FetchError } from '../fetched-object.ts'
import { ObjectFetcher, type ObjectFetcherOptions, type ObjectSource } from '../object-fetcher.ts'
import type { ObjectId } from '../object-id.ts'

const refusal = new FetchError('http_403', { isRetryable: false, isHostTrouble: false })
const trouble = new FetchError('http_503', { isRetryable: true, isHostTrouble: true })
const pushBack = (retryAfterMs?: number): FetchError =>
  new FetchError('http_429', { isRetryable: true, isHostTrouble: false, retryAfterMs })
const INTERRUPTED = { kind: 'pending', reason: 'interrupted', isCharged: false }

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Rests that only `endAll` ends. */
function endlessRests() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { rest: () => promise, endAll: resolve }
}

function setup(ask: ObjectSource['fetch'], options: Partial<ObjectFetcherOptions> = {}) {
  const state = { nowMs: 1000, slept: [] as number[] }
  const breaker = new CircuitBreaker({
    objects: 100,
    openMs: 1000,
    maxOpenMs: 1000,
    maxPauseMs: 60_000,
    onResumed: () => undefined,
    nowMs: () => state.nowMs,
  })
  const rests = {
    rest: async (ms: number) => {
      state.slept.push(ms)
      state.nowMs += ms
    },
    endAll: () => undefined,
  }
  const fetcher = new ObjectFetcher({
    source: { fetch: ask },
    breaker,
    onFetched: () => undefined,
    slots: new FairSlots({ concurrency: 10, reserve: 0, weightOf: () => 1 }),
    maxTries: 3,
    backoff: { baseMs: 200, maxMs: 1000 },
    maxHoldMs: 2000,
    databaseNowMs: () => state.nowMs,
    nowMs: () => state.nowMs,
    rests,
    holds: rests,
    random: () => 0,
    ...options,
  })
  return { state, breaker, fetcher, fetch: (id: ObjectId = 1n) => fetcher.fetch(id, 'default').result }
}

describe('ObjectFetcher', () => {
  it('is idle when no fetch is under way, not even one that rests', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const { fetcher, fetch } = setup(() => promise)
    await fetcher.idle()
    const outcomes = [fetch(1n), fetch(2n)]
    let isIdle = false
    const idle = fetcher.idle().then(() => {
      isIdle = true
    })
    await turn()
    assert.equal(isIdle, false)
    resolve(undefined)
    await Promise.all(outcomes)
    await idle
  })

  it('reports the result of each request, and how many seconds it took', async () => {
    const told: unknown[] = []
    const answers = [async () => ({ online: true }), async () => undefined, () => Promise.reject(refusal)]
    const { state, fetch } = setup(
      id => {
        state.nowMs += 250
        return (answers[Number(id)] as ObjectSource['fetch'])(id)
      },
      { onFetched: (...heard) => told.push(heard) },
    )
    for (const id of [0n, 1n, 2n]) await fetch(id)
    assert.deepEqual(told, [
      ['ok', 0.25],
      ['not_found', 0.25],
      ['http_403', 0.25],
    ])
  })

  it('waits for a Retry-After up to maxHoldMs, and sends the callback back for a longer one', async () => {
    for (const [askedMs, kind] of [
      [2000, 'not_found'],
      [2001, 'pending'],
    ] as const) {
      const errors = [pushBack(askedMs)]
      const { fetch } = setup(async () => {
        for (const error of errors.splice(0)) throw error
        return undefined
      })
      const result = await fetch()
      assert.equal('kind' in result && result.kind, kind)
    }
  })

  it('does not leave an object alone that pushes back without a Retry-After', async () => {
    const { state, fetch } = setup(() => Promise.reject(pushBack()), { maxTries: 1 })
    await fetch()
    assert.deepEqual(state.slept, [], 'waited for others that may say the same')
  })

  for (const [what, maxTries] of [
    ['between two tries', 2],
    ['until it knows whose trouble it was', 1],
  ] as const) {
    it(`gives objects back at once, when it is stopped, that rest ${what}`, async () => {
      const { fetcher, fetch } = setup(() => Promise.reject(trouble), { maxTries, rests: endlessRests() })
      let outcome: unknown
      void fetch().then(result => {
        outcome = result
      })
      await turn()
      assert.equal(outcome, undefined)
      fetcher.stop()
      await turn()
      assert.deepEqual(outcome, INTERRUPTED)
    })
  }

  it('gives objects back at once, when it is stopped, that the breaker holds', async () => {
    const { breaker, fetcher, fetch } = setup(() => assert.fail('must not ask'), { maxHoldMs: 60_000, holds: endlessRests() })
    for (const id of [7n, 8n, 9n]) {
      breaker.report({ id, isProbe: false, epoch: 0, inquiry: undefined }, 'pushed_back', { ms: 5000, reason: 'http_429' })
    }
    let outcome: unknown
    void fetch().then(result => {
      outcome = result
    })
    await turn()
    assert.equal(outcome, undefined)
    fetcher.stop()
    await turn()
    assert.deepEqual(outcome, INTERRUPTED)
  })

  it('rests no more after a stop, and charges nothing for a request that the stop ended', async () => {
    const { promise, reject } = Promise.withResolvers<undefined>()
    const { state, breaker, fetcher, fetch } = setup(() => promise, { onFetched: () => assert.fail('counted') })
    const outcome = fetch()
    await turn()
    fetcher.stop()
    reject(trouble)
    assert.deepEqual([await outcome, state.slept, breaker.isInDoubt], [INTERRUPTED, [], false])
  })
})
