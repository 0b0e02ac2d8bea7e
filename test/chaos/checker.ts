import { checkClaims } from './claims-checker.ts'
import type { SentCallback, StoredCallback, Transition } from './history.ts'

/** What must not be, and what it is called in the table. */
export const VIOLATIONS = {
  lost: 'answered 202, and it is not there',
  stuck: 'answered 202, and it is not finished',
  duplicated: 'two rows, or two ids, for one key',
  unexpected: 'there, though it was refused or never sent',
  altered: 'there with other ids than were sent',
  refused: 'valid, and answered 4xx',
  unaccounted: 'finished, and of an id nobody knows what became of it',
  rewritten: 'changed after it was finished',
  usurped: 'settled by somebody who had not claimed it',
  stolen: 'taken over from a worker that lives',
} as const

export type Violation = keyof typeof VIOLATIONS

/** What was found of each, in words. */
export type Findings = Record<Violation, string[]>

export interface Evidence {
  readonly sent: readonly SentCallback[]
  readonly rows: readonly StoredCallback[]
  readonly transitions: readonly Transition[]
  /** When the last fetch left whose answer was stored, by object. Epoch milliseconds. */
  readonly fetchedAtMs: ReadonlyMap<number, number>
}

/** A fetch leaves after its callback came; the clocks of the services may be so far behind the database's. */
const CLOCK_TOLERANCE_MS = 1000

/**
 * Compares what the sender knows with what is there when everything has come to rest: Jepsen's total-queue
 * (https://jepsen-io.github.io/jepsen/jepsen.checker.html#var-total-queue), and what became of claims meanwhile.
 */
export function check({ sent, rows, transitions, fetchedAtMs }: Evidence): Findings {
  const rowsByKey = Map.groupBy(rows, row => row.key)
  const rowsById = new Map(rows.map(row => [row.id, row]))
  const keys = new Set<string | null>(sent.map(({ key }) => key))
  return {
    lost: sent.flatMap(({ key, outcomes }) => answeredIds(outcomes).flatMap(id => (rowsById.has(id) ? [] : [`${key}: ${id}`]))),
    stuck: sent.flatMap(({ key, outcomes }) =>
      answeredIds(outcomes).flatMap(id => {
        const row = rowsById.get(id)
        return row && !isFinished(row) ? [`${key}: ${id} is ${row.state}`] : []
      }),
    ),
    duplicated: sent.flatMap(callback => duplicated(callback, rowsByKey.get(callback.key) ?? [])),
    unexpected: [
      ...sent.filter(({ key, outcomes }) => rowsByKey.has(key) && outcomes.every(({ kind }) => kind === 'fail')).map(({ key }) => key),
      ...rows.filter(({ key }) => !keys.has(key)).map(({ id, key }) => `${id} with key ${key} was never sent`),
    ],
    altered: sent.flatMap(({ key, objectIds }) =>
      (rowsByKey.get(key) ?? []).filter(row => `${row.objectIds}` !== `${objectIds}`).map(row => `${key}: ${row.objectIds}`),
    ),
    refused: sent.flatMap(({ key, isBad, outcomes }) =>
      isBad ? [] : outcomes.flatMap(outcome => (outcome.kind === 'fail' ? [`${key}: ${outcome.status}`] : [])),
    ),
    unaccounted: rows.filter(isFinished).flatMap(row => unaccounted(row, fetchedAtMs)),
    ...checkClaims(transitions),
  }
}

/** Callbacks nobody was told of that happened all the same: how many. */
export function countRecovered({ sent, rows }: Pick<Evidence, 'sent' | 'rows'>): number {
  const keys = new Set(rows.map(({ key }) => key))
  return sent.filter(({ key, outcomes }) => keys.has(key) && outcomes.every(({ kind }) => kind !== 'ok')).length
}

export function isFinished({ state }: { readonly state: string }): boolean {
  return state === 'completed' || state === 'failed'
}

function duplicated({ key, outcomes }: SentCallback, rows: readonly StoredCallback[]): string[] {
  const ids = new Set([...answeredIds(outcomes), ...rows.map(({ id }) => id)])
  return ids.size > 1 ? [`${key}: ${[...ids].join(' and ')}`] : []
}

function answeredIds(outcomes: SentCallback['outcomes']): string[] {
  return [...new Set(outcomes.flatMap(outcome => (outcome.kind === 'ok' ? [outcome.id] : [])))]
}

function unaccounted(row: StoredCallback, fetchedAtMs: ReadonlyMap<number, number>): string[] {
  const unstored = new Map(row.unstored.map(({ id, outcome }) => [Number(id), outcome]))
  return row.objectIds
    .filter(id => {
      const outcome = unstored.get(id)
      if (outcome !== undefined) return outcome === 'pending'
      return (fetchedAtMs.get(id) ?? 0) < row.receivedAtMs - CLOCK_TOLERANCE_MS
    })
    .map(id => `${row.id}: object ${id} ${unstored.get(id) ?? 'was not stored since'}`)
}
