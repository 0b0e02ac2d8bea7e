import assert from 'node:assert/strict'
import type { Outcome } from '#fetching/outcome.ts'
import type { ClaimedCallback } from '../../../domain/processing/claimed-callback.ts'
import { crashed, processCallback } from '../../../domain/processing/process-callback.ts'

const policy = { maxAttempts: 3, maxCrashes: 6, backoff: { baseMs: 1000, maxMs: 60_000 }, random: () => 0.5 }
const claimed = (changes: Partial<ClaimedCallback> = {}): ClaimedCallback => ({
  id: 'a',
  workspace: 'default',
  token: 't',
  attempt: 1,
  crashes: 0,
  missingIds: [1n, 2n],
  unstored: [],
  receivedAtMs: 0,
  waitedMs: 0,
  freshFromMs: 0,
  trace: {},
  requestId: undefined,
  ...changes,
})
const answering = (outcomes: Record<string, Outcome>) => async (id: bigint) => outcomes[String(id)] as Outcome

const STORED: Outcome = { kind: 'stored', answer: { online: true } }
const OFFLINE: Outcome = { kind: 'offline', answer: { online: false } }

describe('processCallback', () => {
  it('completes a callback that names nothing', async () => {
    assert.deepEqual(await processCallback(claimed({ missingIds: [] }), answering({}), policy), { state: 'completed', unstored: [] })
  })

  it('completes when every object has a final outcome, and lists those that were not stored', async () => {
    const verdict = await processCallback(
      claimed({ missingIds: [1n, 2n, 3n, 4n] }),
      answering({ 1: STORED, 2: { kind: 'failed', reason: 'http_400' }, 3: { kind: 'not_found' }, 4: OFFLINE }),
      policy,
    )
    assert.deepEqual(verdict, {
      state: 'completed',
      unstored: [
        { id: 2n, outcome: 'failed', reason: 'http_400' },
        { id: 3n, outcome: 'not_found' },
        { id: 4n, outcome: 'offline' },
      ],
    })
  })

  it('keeps the outcomes of earlier attempts', async () => {
    const earlier = claimed({ attempt: 2, missingIds: [2n], unstored: [{ id: 1n, outcome: 'not_found' }] })
    const verdict = await processCallback(earlier, answering({ 2: STORED }), policy)
    assert.deepEqual(verdict, { state: 'completed', unstored: [{ id: 1n, outcome: 'not_found' }] })
  })

  it('goes back to the inbox for pending objects, later with each attempt', async () => {
    const pending = answering({ 1: STORED, 2: { kind: 'pending', reason: 'timeout', isCharged: true } })
    const unstored = [{ id: 2n, outcome: 'pending', reason: 'timeout' }]
    assert.deepEqual(await processCallback(claimed(), pending, policy), { state: 'pending', unstored, isCharged: true, delayMs: 500 })
    assert.deepEqual(await processCallback(claimed({ attempt: 2 }), pending, policy), {
      state: 'pending',
      unstored,
      isCharged: true,
      delayMs: 1000,
    })
  })

  it('is charged if one of its objects fails by itself, although others wait for the host', async () => {
    const verdict = await processCallback(
      claimed(),
      answering({
        1: { kind: 'pending', reason: 'http_500', isCharged: true },
        2: { kind: 'pending', reason: 'storage_unavailable', isCharged: false },
      }),
      policy,
    )
    assert.equal(verdict.state === 'pending' && verdict.isCharged, true)
  })

  it('fails with its reasons when its attempts are used up', async () => {
    const verdict = await processCallback(
      claimed({ attempt: 3, unstored: [{ id: 3n, outcome: 'not_found' }] }),
      answering({ 1: STORED, 2: { kind: 'pending', reason: 'timeout', isCharged: true } }),
      policy,
    )
    assert.deepEqual(verdict, {
      state: 'failed',
      unstored: [
        { id: 3n, outcome: 'not_found' },
        { id: 2n, outcome: 'failed', reason: 'timeout' },
      ],
    })
  })

  it('never fails over trouble that is not its own', async () => {
    const pending: Outcome = { kind: 'pending', reason: 'client_service_unavailable', isCharged: false }
    const verdict = await processCallback(claimed({ attempt: 3 }), answering({ 1: pending, 2: pending }), policy)
    assert.equal(verdict.state, 'pending')
    assert.equal(verdict.state === 'pending' && verdict.isCharged, false)
  })

  it('is due again at once when it was interrupted, though not with all its objects', async () => {
    const pending = (reason: string): Outcome => ({ kind: 'pending', reason, isCharged: false })
    const verdict = await processCallback(claimed(), answering({ 1: pending('storage_unavailable'), 2: pending('interrupted') }), policy)
    assert.deepEqual(verdict, {
      state: 'pending',
      unstored: [
        { id: 1n, outcome: 'pending', reason: 'storage_unavailable' },
        { id: 2n, outcome: 'pending', reason: 'interrupted' },
      ],
      isCharged: false,
      delayMs: 0,
    })
  })

  it('goes back for at least as long as its objects want to be left alone', async () => {
    const outcome = (retryAfterMs: number): Outcome => ({ kind: 'pending', reason: 'http_429', isCharged: true, retryAfterMs })
    const verdict = await processCallback(claimed(), answering({ 1: outcome(5000), 2: outcome(7000) }), policy)
    assert.equal(verdict.state === 'pending' && verdict.delayMs, 7000)
  })

  it('is due again at once if the client service is down, so that there is something to probe with', async () => {
    const held: Outcome = { kind: 'pending', reason: 'client_service_unavailable', isCharged: false }
    const verdict = await processCallback(claimed({ attempt: 2 }), answering({ 1: STORED, 2: held }), policy)
    assert.equal(verdict.state === 'pending' && verdict.delayMs, 0)
  })

  it('waits no longer than after its first attempt over trouble that is not its own', async () => {
    const pending: Outcome = { kind: 'pending', reason: 'storage_unavailable', isCharged: false }
    const verdict = await processCallback(claimed({ attempt: 3 }), answering({ 1: pending, 2: pending }), policy)
    assert.equal(verdict.state === 'pending' && verdict.delayMs, 500)
  })

  it('fetches nothing more after too many crashes, and fetches before', async () => {
    const again = await processCallback(claimed({ attempt: 1, crashes: 5 }), answering({ 1: STORED, 2: STORED }), policy)
    assert.equal(again.state, 'completed')
    const verdict = await processCallback(claimed({ crashes: 6 }), () => assert.fail('must not fetch'), policy)
    assert.equal(verdict.state, 'failed')
    assert.deepEqual(
      verdict.unstored.map(object => object.reason),
      ['worker_lost', 'worker_lost'],
    )
  })
})

describe('crashed', () => {
  it('retries everything that is missing, and fails after the last attempt', () => {
    const callback = claimed({ missingIds: [2n], unstored: [{ id: 1n, outcome: 'not_found' }] })
    const unstored = (outcome: string) => [
      { id: 1n, outcome: 'not_found' },
      { id: 2n, outcome, reason: 'internal_error' },
    ]
    assert.deepEqual(crashed(callback, policy), { state: 'pending', unstored: unstored('pending'), isCharged: true, delayMs: 500 })
    assert.deepEqual(crashed({ ...callback, attempt: 3 }, policy), { state: 'failed', unstored: unstored('failed') })
  })
})
