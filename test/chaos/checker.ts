import { checkAcceptance } from './acceptance-checker.ts'
import { checkClaims } from './claims-checker.ts'
import { checkAnswerTimes, checkDelays } from './delay-checker.ts'
import type { SentCallback, StoredCallback, Stores, SuspectStore, Transition } from './history.ts'
import { checkLeases } from './lease-checker.ts'
import type { Inflicted } from './nemesis.ts'
import { Origins } from './origins.ts'
import { checkOutcomes } from './outcome-checker.ts'
import { checkWorkspaces } from './workspace-checker.ts'

/** The violations that the checker looks for, and their meaning in the table. */
export const VIOLATIONS = {
  lost: 'answered 202, but not in the database',
  stuck: 'answered 202, but not finished',
  duplicated: 'has two rows or two ids for one key and the same object ids, or the database acknowledged two rivals',
  unexpected: 'in the database, although it was refused or never sent',
  unfounded: 'failed without a reason of its own, because the client service answered properly for each object that it names',
  altered: 'in the database with other object ids than were sent',
  refused: 'valid but answered 4xx, or refused because of its key although no rival has the key',
  unaccounted: 'finished, but one of its objects has no outcome',
  rewritten: 'changed after it was finished',
  usurped: 'settled by a worker that had not claimed it',
  stolen: 'taken over from a worker that is alive',
  stale: 'stored or ended by a result of a lost lease, or stored as if it was asked for after its lease began',
  leaked: 'in another workspace than that of its sender, or readable there',
  admitted: 'accepted with a key that was revoked',
  miscounted: 'the ledger says something else than its sender knows',
  unseen: 'ended in another state than the stream told its listener last',
  delayed: 'held up by objects that it does not name, or by other senders',
} as const

export type Violation = keyof typeof VIOLATIONS

/** The findings for each violation, one text each. */
export type Findings = Record<Violation, string[]>

export interface Evidence {
  readonly sent: readonly SentCallback[]
  readonly rows: readonly StoredCallback[]
  readonly transitions: readonly Transition[]
  readonly stores: Stores
  readonly suspects: readonly SuspectStore[]
  readonly inflicted: readonly Inflicted[]
}

/** Compares the senders' history with the drained database, and checks each change of a claim. */
export function check({ sent, rows, transitions, stores, suspects, inflicted }: Evidence): Findings {
  const origins = new Origins(sent, rows)
  return {
    ...checkAcceptance(sent, rows, origins),
    ...checkOutcomes(rows, { origins, stores, transitions }),
    ...checkClaims(transitions),
    stale: checkLeases(rows, suspects),
    leaked: checkWorkspaces(sent, rows, stores),
    // Only the services can tell, after the run.
    admitted: [],
    miscounted: [],
    // Only the listeners can tell.
    unseen: [],
    delayed: [...checkDelays(sent, { inflicted, transitions }), ...checkAnswerTimes(sent, inflicted)],
  }
}

/** Counts the callbacks that are in the database although no answer said so. */
export function countRecovered({ sent, rows }: Pick<Evidence, 'sent' | 'rows'>): number {
  const origins = new Origins(sent, rows)
  return sent.filter(callback => callback.outcomes.every(({ kind }) => kind !== 'ok') && origins.rowsOf(callback).length > 0).length
}
