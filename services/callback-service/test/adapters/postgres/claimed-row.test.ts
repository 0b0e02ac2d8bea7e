import assert from 'node:assert/strict'
import { v7 as uuidv7 } from 'uuid'
import { type ClaimedRow, claimedCallback, parseUnstored, settlement } from '../../../adapters/postgres/claimed-row.ts'
import type { Unstored } from '../../../domain/processing/claimed-callback.ts'

const TOKEN = uuidv7()
const CLAIMED_AT_MS = 4000

describe('a claimed row', () => {
  const row: ClaimedRow = {
    id: 'a',
    workspace: 'shop',
    attempts: 3,
    crashes: 1,
    object_ids: '{3,9223372036854775807,-2}',
    unstored: null,
    fresh_ids: null,
    request_id: null,
    traceparent: null,
    tracestate: null,
    baggage: null,
    received_ms: 1000,
    now_ms: 4000,
  }
  const claim = { token: 't', claimedAtMs: 10_000, steppedAtMs: Number.NEGATIVE_INFINITY }
  const claimed = (changes: Partial<ClaimedRow> = {}, steppedAtMs = claim.steppedAtMs) =>
    claimedCallback({ ...row, ...changes }, { ...claim, steppedAtMs })

  it('is a callback of which all objects are to be fetched, when nothing is known of them yet', () => {
    assert.deepEqual(claimed(), {
      id: 'a',
      workspace: 'shop',
      token: 't',
      attempt: 2,
      crashes: 1,
      missingIds: [3n, 2n ** 63n - 1n, -2n],
      unstored: [],
      receivedAtMs: 1000,
      waitedMs: 3000,
      freshFromMs: 7000,
      trace: { traceparent: undefined, tracestate: undefined, baggage: undefined },
      requestId: undefined,
    })
  })

  it('has no objects to be fetched where it names none', () => {
    assert.deepEqual(claimed({ object_ids: '{}', fresh_ids: '{3}' }).missingIds, [])
  })

  it('fetches the object 0 too', () => {
    assert.deepEqual(claimed({ object_ids: '{0}' }).missingIds, [0n])
  })

  it('leaves out what its last worker stored before it died', () => {
    assert.deepEqual(claimed({ fresh_ids: '{3,-2}' }).missingIds, [2n ** 63n - 1n])
  })

  it('fetches what is pending of what earlier attempts found, and keeps the rest', () => {
    const unstored = [
      { id: '3', outcome: 'pending', reason: 'timeout' },
      { id: '-2', outcome: 'offline' },
    ]
    const { missingIds, unstored: kept } = claimed({ unstored })
    assert.deepEqual({ missingIds, kept }, { missingIds: [3n], kept: [{ id: -2n, outcome: 'offline' }] })
  })

  it('goes on with its trace and its request id', () => {
    const { trace, requestId } = claimed({ traceparent: 'p', tracestate: 's', baggage: 'a=1', request_id: 'r' })
    assert.deepEqual([trace, requestId], [{ traceparent: 'p', tracestate: 's', baggage: 'a=1' }, 'r'])
  })

  it('has not waited where it seems to come from the future', () => {
    const { waitedMs, freshFromMs } = claimed({ received_ms: 9000 })
    assert.deepEqual({ waitedMs, freshFromMs }, { waitedMs: 0, freshFromMs: 10_000 })
  })

  it('shares no fetch that left before the clock stepped, while it may have waited longer than is known', () => {
    assert.deepEqual([claimed({}, 8000).freshFromMs, claimed({}, 6000).freshFromMs], [8000, 7000])
  })
})

describe('a settlement', () => {
  const callback = claimedCallbackOf()
  const unstored: Unstored[] = [{ id: 2n ** 63n - 1n, outcome: 'failed', reason: 'timeout' }]

  it('of a finished callback has no delay and gives no attempt back', () => {
    assert.deepEqual(settlement({ callback, verdict: { state: 'completed', unstored }, workerNumber: 3 }, 5000.7), {
      id: 'a',
      token: TOKEN,
      state: 'completed',
      unstored: [{ id: '9223372036854775807', outcome: 'failed', reason: 'timeout' }],
      delay_ms: 0,
      refund: 0,
      entries: [
        {
          at: 5000,
          worker: 3,
          state: 'completed',
          event: 'attempt_ended',
          claimed_at: CLAIMED_AT_MS,
          attempt: 1,
          counts: { 'failed:timeout': 1 },
        },
      ],
    })
  })

  for (const [isCharged, refund] of [
    [true, 0],
    [false, 1],
  ] as const) {
    it(`of a callback that is tried again ${isCharged ? 'keeps' : 'gives back'} the attempt`, () => {
      const verdict = { state: 'pending', unstored: [], delayMs: 500, isCharged } as const
      const { entries: _, ...rest } = settlement({ callback, verdict, workerNumber: 3 }, 0) as { entries: unknown }
      assert.deepEqual(rest, { id: 'a', token: TOKEN, state: 'pending', unstored: [], delay_ms: 500, refund })
    })
  }

  it('by an agent names it, and says what it had delivered, and whether more came to an end', () => {
    const agent = { name: 'hall-3', delivered: 4 }
    const verdict = { state: 'pending', unstored, delayMs: 0, isCharged: false } as const
    const { seen, brings, entries } = settlement({ callback, verdict, workerNumber: undefined, agent }, 5000) as {
      seen: number
      brings: boolean
      entries: readonly object[]
    }
    const [entry] = entries
    assert.ok(entry && 'agent' in entry && !('worker' in entry))
    assert.deepEqual([seen, brings, entry.agent], [4, true, 'hall-3'])
  })

  it('is read back with its ids exact', () => {
    assert.deepEqual(parseUnstored([{ id: '9223372036854775807', outcome: 'failed', reason: 'timeout' }]), unstored)
  })
})

function claimedCallbackOf(): ReturnType<typeof claimedCallback> {
  const empty = { request_id: null, traceparent: null, tracestate: null, baggage: null, fresh_ids: null, unstored: null }
  const row = { id: 'a', workspace: 'default', attempts: 1, crashes: 0, object_ids: '{1}', received_ms: 0, now_ms: CLAIMED_AT_MS, ...empty }
  return claimedCallback(row, { token: TOKEN, claimedAtMs: 0, steppedAtMs: 0 })
}
