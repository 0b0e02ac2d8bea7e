import assert from 'node:assert/strict'
import { CircuitBreaker } from '#fetching/circuit-breaker.ts'
import { FairSlots } from '#fetching/fair-slots.ts'
import { FetchError } from '#fetching/fetched-object.ts'
import { ObjectFetcher, type Rests } from '#fetching/object-fetcher.ts'
import { SharedFetches } from '#fetching/shared-fetches.ts'
import { seededRandom } from '../../../../../test/chaos/random.ts'
import { claimRoom } from '../../../domain/processing/claim-quota.ts'
import type { ClaimedCallback } from '../../../domain/processing/claimed-callback.ts'
import { processCallback } from '../../../domain/processing/process-callback.ts'

const TRIALS = 100
const POLL_MS = 250
const ANSWER_MS = 50
/** Time after which the breaker is open. */
const KNOWN_MS = 10_000

const away = new FetchError('connection', { isRetryable: true, isHostTrouble: true })

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A clock that jumps to the next timer when nothing else is left to do. */
class VirtualTime {
  nowMs = 0
  readonly #timers = new Set<{ atMs: number; end: () => void }>()

  at(atMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = { atMs, end: () => this.#timers.delete(timer) && resolve() }
    this.#timers.add(timer)
    return promise
  }

  rests(): Rests {
    const ends = new Set<() => void>()
    return {
      rest: async ms => {
        const { promise, resolve } = Promise.withResolvers<void>()
        ends.add(resolve)
        await Promise.race([promise, this.at(this.nowMs + ms)])
        ends.delete(resolve)
      },
      endAll: () => {
        for (const end of ends) end()
      },
    }
  }

  async runUntil(isOver: () => boolean): Promise<void> {
    for (await turn(); !isOver(); await turn()) {
      const next = [...this.#timers].reduce((first, timer) => (timer.atMs < first.atMs ? timer : first))
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.end()
    }
  }
}

/**
 * Runs a worker while the client service goes down and comes back.
 * @returns milliseconds from its return to the first completed callback
 */
async function trial(
  callbacks: number,
  objects: number,
  random: () => number,
): Promise<{ readonly tookMs: number; readonly probesPerSecond: number }> {
  const time = new VirtualTime()
  const outageMs = 30_000 + 30_000 * random()
  let probes = 0
  let completedAtMs: number | undefined
  const breaker = new CircuitBreaker({
    objects: 5,
    openMs: 1000,
    maxOpenMs: 1000,
    maxPauseMs: 60_000,
    onResumed: () => {
      fetcher.resume()
      look()
    },
    nowMs: () => time.nowMs,
  })
  const slots = new FairSlots({ concurrency: 512, reserve: 64, weightOf: () => 1 })
  const fetcher = new ObjectFetcher({
    source: {
      fetch: async () => {
        if (time.nowMs < outageMs) {
          if (time.nowMs > KNOWN_MS) probes += 1
          throw away
        }
        await time.at(time.nowMs + ANSWER_MS)
        return { online: true }
      },
    },
    breaker,
    onFetched: () => undefined,
    slots,
    maxTries: 3,
    backoff: { baseMs: 200, maxMs: 6000 },
    maxHoldMs: 2000,
    databaseNowMs: () => time.nowMs,
    nowMs: () => time.nowMs,
    rests: time.rests(),
    holds: time.rests(),
    random: random,
  })
  const sharedFetches = new SharedFetches({
    workspace: 'default',
    fetcher,
    store: { upsert: async () => {}, troubleOf: () => undefined },
    keepOffline: true,
    onShared: () => undefined,
    recent: { begin: () => 0, end: () => undefined },
  })
  const inbox = Array.from({ length: callbacks }, (_, i) => ({ i, attempt: 0, dueMs: 0 }))
  let running = 0

  function look(): void {
    const due = inbox.filter(({ dueMs }) => dueMs <= time.nowMs).toSorted((a, b) => a.dueMs - b.dueMs)
    const quota = claimRoom({ running, maxRunning: 1000, requests: slots, breaker })
    for (const row of due.slice(0, quota?.callbacks ?? 0)) {
      inbox.splice(inbox.indexOf(row), 1)
      void work(row)
    }
  }

  async function work(row: { readonly i: number; readonly attempt: number }): Promise<void> {
    running += 1
    const attempt = row.attempt + 1
    const missingIds = Array.from({ length: objects }, (_, object) => BigInt(row.i * objects + object))
    const callback: ClaimedCallback = {
      id: '',
      workspace: 'default',
      token: '',
      attempt,
      crashes: 0,
      missingIds,
      unstored: [],
      receivedAtMs: 0,
      waitedMs: 0,
      freshFromMs: 0,
      trace: {},
      requestId: undefined,
    }
    const verdict = await processCallback(callback, (id, by) => sharedFetches.fetch(id, by), {
      maxAttempts: 10,
      maxCrashes: 6,
      backoff: { baseMs: 1000, maxMs: 60_000 },
      random: random,
    })
    running -= 1
    assert.notEqual(verdict.state, 'failed')
    if (verdict.state === 'pending')
      inbox.push({ i: row.i, attempt: verdict.isCharged ? attempt : attempt - 1, dueMs: time.nowMs + verdict.delayMs })
    else completedAtMs ??= time.nowMs
  }

  const poll = async (): Promise<void> => {
    look()
    await time.at(time.nowMs + POLL_MS)
    if (completedAtMs === undefined) void poll()
  }
  void poll()
  await time.runUntil(() => completedAtMs !== undefined)
  return { tookMs: (completedAtMs as number) - outageMs, probesPerSecond: probes / ((outageMs - KNOWN_MS) / 1000) }
}

describe('the return of the client service', function () {
  this.timeout(60_000)

  for (const [callbacks, objects] of [
    [1, 1],
    [1, 5],
    [20, 5],
  ] as const) {
    it(`is seen within 1.5 s (p95), with one probe a second while it is away: ${callbacks} callbacks of ${objects}`, async () => {
      const seed = Date.now()
      const random = seededRandom(seed)
      const trials = []
      for (let i = 0; i < TRIALS; i += 1) trials.push(await trial(callbacks, objects, random))
      const p95 = trials.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b)[Math.ceil(0.95 * TRIALS) - 1] as number
      const probes = trials.map(({ probesPerSecond }) => probesPerSecond)
      assert.ok(p95 <= 1500, `p95 ${p95} ms, seed ${seed}`)
      assert.ok(Math.min(...probes) >= 0.7 && Math.max(...probes) <= 1.05, `${Math.min(...probes)} to ${Math.max(...probes)}, seed ${seed}`)
    })
  }
})
