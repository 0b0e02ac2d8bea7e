import { check, type Evidence, type Violation } from './checker.ts'
import type { Outcome, SentCallback, StoredCallback, Transition } from './history.ts'
import { placeOf } from './workspace-checker.ts'

/** Minimal evidence for the tests of the checkers: outcomes, callbacks, rows and transitions. */
export const ok = (id: string, durability: 'database' | 'spooled' = 'database', receivedAtMs = 10_000): Outcome => ({
  kind: 'ok',
  id,
  durability,
  receivedAtMs,
})
export const fail: Outcome = { kind: 'fail', status: 422, code: 'invalid_body' }
export const keyReused: Outcome = { kind: 'fail', status: 422, code: 'idempotency_key_reused' }
export const info: Outcome = { kind: 'info', reason: 'ECONNRESET' }

/** A sent callback with the key `k1` and the objects 1 and 2, sent at 10,000. */
export const sent = (outcomes: readonly Outcome[], changes: Partial<SentCallback> = {}): SentCallback => ({
  workspace: 'default',
  key: 'k1',
  objectIds: [1, 2],
  isInvalid: false,
  sentAtMs: 10_000,
  outcomes,
  ...changes,
})

/** The row of that callback, with the id `a`, completed. */
export const row = (changes: Partial<StoredCallback> = {}): StoredCallback => ({
  id: 'a',
  workspace: 'default',
  key: 'k1',
  state: 'completed',
  receivedAtMs: 10_000,
  attempts: 1,
  objectIds: [1, 2],
  unstored: [],
  ...changes,
})

/** A change of the state of callback `a` at 20,000. */
export const step = (from: string, to: string, replica: string, changes: Partial<Transition> = {}): Transition => ({
  callbackId: 'a',
  atMs: 20_000,
  replica,
  from,
  to,
  oldWorker: null,
  newWorker: null,
  wasLeased: false,
  isWorkerAlive: false,
  ...changes,
})

/** Runs the checker on this evidence. Objects that it names were stored at 11,000. @returns the number of findings for each violation found */
export function found(changes: Partial<Evidence>): Partial<Record<Violation, number>> {
  const named = [...(changes.sent ?? []), ...(changes.rows ?? [])].flatMap(({ workspace, objectIds }) =>
    objectIds.map(id => placeOf(workspace, id)),
  )
  const stores = new Map(named.map(place => [place, [11_000]]))
  const findings = check({ sent: [], rows: [], transitions: [], stores, suspects: [], inflicted: [], ...changes })
  const counts = Object.entries(findings).map(([violation, { length }]) => [violation, length] as const)
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}
