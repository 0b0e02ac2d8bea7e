import { checkAcceptance } from './acceptance-checker.ts'
import { checkClaims } from './claims-checker.ts'
import { checkAnswerTimes, checkDelays } from './delay-checker.ts'
import type { SentCallback, StoredCallback, Stores, Transition } from './history.ts'
import type { Inflicted } from './nemesis.ts'
import { Origins } from './origins.ts'
import { checkOutcomes } from './outcome-checker.ts'

/** What must not be, and what it is called in the table. */
export const VIOLATIONS = {
  lost: 'answered 202, and it is not there',
  stuck: 'answered 202, and it is not finished',
  duplicated: 'two rows, or two ids, for one key and its ids; or two rivals that the database acknowledged',
  unexpected: 'there, though it was refused or never sent',
  unfounded: 'failed without a reason of its own: each object it names was answered properly',
  altered: 'there with other ids than were sent',
  refused: 'valid, and answered 4xx; or told that its key is taken, and no rival has it',
  unaccounted: 'finished, and of an id nobody knows what became of it',
  rewritten: 'changed after it was finished',
  usurped: 'settled by somebody who had not claimed it',
  stolen: 'taken over from a worker that lives',
  delayed: 'held up by objects that it does not name, or by other senders',
} as const

export type Violation = keyof typeof VIOLATIONS

/** What was found of each, in words. */
export type Findings = Record<Violation, string[]>

export interface Evidence {
  readonly sent: readonly SentCallback[]
  readonly rows: readonly StoredCallback[]
  readonly transitions: readonly Transition[]
  readonly stores: Stores
  readonly inflicted: readonly Inflicted[]
}

/** Compares what the sender knows with what is there when everything has come to rest, and follows what became of claims meanwhile. */
export function check({ sent, rows, transitions, stores, inflicted }: Evidence): Findings {
  const origins = new Origins(sent, rows)
  return {
    ...checkAcceptance(sent, rows, origins),
    ...checkOutcomes(rows, { origins, stores, transitions }),
    ...checkClaims(transitions),
    delayed: [...checkDelays(sent, { inflicted, transitions }), ...checkAnswerTimes(sent, inflicted)],
  }
}

/** Callbacks nobody was told of that happened all the same: how many. */
export function countRecovered({ sent, rows }: Pick<Evidence, 'sent' | 'rows'>): number {
  const origins = new Origins(sent, rows)
  return sent.filter(callback => callback.outcomes.every(({ kind }) => kind !== 'ok') && origins.rowsOf(callback).length > 0).length
}
