import assert from 'node:assert/strict'
import { v7 as uuidv7 } from 'uuid'
import { attemptEntry, timeOf } from '../../../adapters/postgres/timeline-entry.ts'
import type { Unstored } from '../../../domain/processing/claimed-callback.ts'
import { claimed } from '../../workers/worker-in-memory.ts'

const TOKEN = uuidv7({ msecs: 1_795_000_000_123 })
/** The process that claimed it has a clock that is wrong by far. */
const callback = {
  ...claimed('a'),
  token: TOKEN,
  receivedAtMs: 1_700_000_000_000.5,
  waitedMs: 250,
  attempt: 2,
  missingIds: Array.from({ length: 100 }, (_, i) => BigInt(i)),
}
const pending = (count: number, reasonOf: (i: number) => string): Unstored[] =>
  Array.from({ length: count }, (_, i) => ({ id: BigInt(i), outcome: 'pending', reason: reasonOf(i) }))

describe('the entry of an attempt in a timeline', () => {
  it('counts the objects of this attempt by result and reason, and begins with the claim by the clock of the database', () => {
    const unstored: Unstored[] = [{ id: 1n, outcome: 'not_found' }, ...pending(2, () => 'http_503')]
    assert.deepEqual(attemptEntry(callback, { state: 'pending', unstored, delayMs: 1, isCharged: true }), {
      event: 'attempt_ended',
      claimed_at: 1_700_000_000_250,
      attempt: 2,
      counts: { stored: 97, not_found: 1, 'pending:http_503': 2 },
    })
  })

  it('leaves out what earlier attempts found', () => {
    const earlier: Unstored[] = [{ id: 200n, outcome: 'not_found' }]
    const entry = attemptEntry({ ...callback, unstored: earlier }, { state: 'completed', unstored: earlier })
    assert.deepEqual(entry, { event: 'attempt_ended', claimed_at: 1_700_000_000_250, attempt: 2, counts: { stored: 100 } })
  })

  it('says that a callback was given back, if it was interrupted and is not charged', () => {
    const unstored = pending(1, () => 'interrupted')
    const eventOf = (isCharged: boolean) =>
      (attemptEntry(callback, { state: 'pending', unstored, delayMs: 0, isCharged }) as { event: string }).event
    assert.deepEqual([eventOf(false), eventOf(true)], ['given_back', 'attempt_ended'])
  })

  it('stays small, however many reasons there are', () => {
    const unstored = pending(100, i => `http_${400 + i}`)
    const { counts } = attemptEntry(callback, { state: 'failed', unstored }) as { counts: Record<string, number> }
    assert.equal(Object.keys(counts).length, 11)
    assert.equal(counts['other'], 90)
  })

  it('reads the time of a claim from its token', () => {
    assert.equal(timeOf(TOKEN), 1_795_000_000_123)
  })
})
