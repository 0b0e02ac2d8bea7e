import { isFinished } from './acceptance-checker.ts'
import type { SentCallback, StoredCallback, Stores, Transition } from './history.ts'
import { isUnreliable } from './objects.ts'
import type { Origins } from './origins.ts'
import { placeOf } from './workspace-checker.ts'

interface OutcomeFindings {
  readonly unaccounted: string[]
  readonly unfounded: string[]
}

/** The clock of the witness has a resolution of 10 ms, and the sender's clock may drift against it. */
const CLOCK_TOLERANCE_MS = 100

/**
 * Judges how callbacks ended. Each object must have an outcome, or its answer was stored after the callback was first sent and before it
 * finished. The database does not see when the request left that brought the answer. A callback may fail only because of its own objects.
 */
export function checkOutcomes(
  rows: readonly StoredCallback[],
  { origins, stores, transitions }: { origins: Origins; stores: Stores; transitions: readonly Transition[] },
): OutcomeFindings {
  const finishedAtMs = finishTimes(transitions)
  const finished = rows.filter(isFinished)
  return {
    unaccounted: finished.flatMap(row => {
      const fromMs = (origins.of(row)?.sentAtMs ?? Number.NEGATIVE_INFINITY) - CLOCK_TOLERANCE_MS
      const toMs = finishedAtMs.get(row.id) ?? Number.POSITIVE_INFINITY
      const isStored = (id: number): boolean => stores.get(placeOf(row.workspace, id))?.some(ms => ms >= fromMs && ms <= toMs) ?? false
      return unaccounted(row, isStored)
    }),
    unfounded: finished.flatMap(unfounded),
  }
}

/** Returns when each callback finished, in epoch milliseconds. */
export function finishTimes(transitions: readonly Transition[]): Map<string, number> {
  return new Map(transitions.filter(({ to }) => isFinished({ state: to })).map(({ callbackId, atMs }) => [callbackId, atMs]))
}

/** Whether the callback names only objects that no fault singles out. */
export function isHealthy({ objectIds }: Pick<SentCallback, 'objectIds'>): boolean {
  return !objectIds.some(isUnreliable)
}

function unaccounted(row: StoredCallback, isStored: (id: number) => boolean): string[] {
  const unstored = new Map(row.unstored.map(({ id, outcome }) => [Number(id), outcome]))
  return row.objectIds
    .filter(id => (unstored.has(id) ? unstored.get(id) === 'pending' : !isStored(id)))
    .map(id => `${row.id}: object ${id} ${unstored.get(id) ?? 'was not stored meanwhile'}`)
}

/**
 * Faults of the whole client service are too short to use up all attempts, and no callback here kills its worker. So such a failure is
 * unfounded.
 */
function unfounded(row: StoredCallback): string[] {
  if (row.state !== 'failed') return []
  const reasons = new Set(row.unstored.flatMap(({ reason }) => reason ?? []))
  return isHealthy(row) || reasons.has('worker_lost') ? [`${row.id} after ${row.attempts} attempts: ${[...reasons].join(', ')}`] : []
}
