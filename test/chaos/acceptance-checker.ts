import type { Outcome, SentCallback, StoredCallback } from './history.ts'
import type { Origins } from './origins.ts'

interface AcceptanceFindings {
  readonly lost: string[]
  readonly stuck: string[]
  readonly duplicated: string[]
  readonly unexpected: string[]
  readonly altered: string[]
  readonly refused: string[]
}

const KEY_REUSED = 'idempotency_key_reused'

/**
 * Compares the answers that the senders got with the rows in the database. The method is Jepsen's total-queue
 * (https://jepsen-io.github.io/jepsen/jepsen.checker.html#var-total-queue).
 *
 * Only one of several rivals may be kept. The others must be refused, unless only a spool saw them: then they are kept as separate
 * callbacks.
 */
export function checkAcceptance(sent: readonly SentCallback[], rows: readonly StoredCallback[], origins: Origins): AcceptanceFindings {
  const rowsById = new Map(rows.map(row => [row.id, row]))
  const rivals = Map.groupBy(sent, ({ key }) => key)
  const isThere = (callback: SentCallback): boolean => origins.rowsOf(callback).length > 0
  return {
    lost: answers(sent).flatMap(({ callback, id }) => {
      const row = rowsById.get(id)
      const origin = row && origins.of(row)
      const isAnothers = origin !== undefined && origin !== callback
      return !row || isAnothers ? [`${callback.key}: ${id}${isAnothers ? ' is there with the ids of a rival' : ''}`] : []
    }),
    stuck: answers(sent).flatMap(({ callback, id }) => {
      const row = rowsById.get(id)
      return row && !isFinished(row) ? [`${callback.key}: ${id} is ${row.state}`] : []
    }),
    duplicated: [
      ...sent.flatMap(callback => {
        const ids = new Set([...answeredIds(callback), ...origins.rowsOf(callback).map(({ id }) => id)])
        return ids.size > 1 ? [`${callback.key}: ${[...ids].join(' and ')}`] : []
      }),
      ...[...rivals].flatMap(([key, callbacks]) => {
        // A row without its key came from a spool, even if its sender lost the answer that said so.
        const cameSpooled = (callback: SentCallback): boolean =>
          callback.outcomes.some(isSpooled) || origins.rowsOf(callback).some(row => row.key === null)
        const unspooled = callbacks.filter(callback => answeredIds(callback).length > 0 && !cameSpooled(callback))
        return unspooled.length > 1 ? [`${key}: the database has acknowledged ${unspooled.length} rivals`] : []
      }),
    ],
    unexpected: [
      ...sent.filter(callback => callback.outcomes.every(({ kind }) => kind === 'fail') && isThere(callback)).map(({ key }) => key),
      ...rows
        .filter(row => !origins.of(row) && (row.key === null || !rivals.has(row.key)))
        .map(({ id, key }) => `${id} with key ${key} was never sent`),
    ],
    altered: rows.flatMap(row => (!origins.of(row) && row.key !== null && rivals.has(row.key) ? [`${row.key}: ${row.objectIds}`] : [])),
    refused: sent.flatMap(callback => {
      if (callback.isInvalid) return []
      const hasKeptRival = rivals.get(callback.key)?.some(rival => rival !== callback && isThere(rival))
      return callback.outcomes.flatMap(outcome =>
        outcome.kind === 'fail' && !(outcome.code === KEY_REUSED && hasKeptRival)
          ? [`${callback.key}: ${outcome.status} ${outcome.code}`]
          : [],
      )
    }),
  }
}

export function isFinished({ state }: { readonly state: string }): boolean {
  return state === 'completed' || state === 'failed'
}

/** Returns the distinct ids with which a callback was answered. */
export function answeredIds({ outcomes }: SentCallback): string[] {
  return [...new Set(outcomes.flatMap(outcome => (outcome.kind === 'ok' ? [outcome.id] : [])))]
}

function answers(sent: readonly SentCallback[]): { callback: SentCallback; id: string }[] {
  return sent.flatMap(callback => answeredIds(callback).map(id => ({ callback, id })))
}

function isSpooled(outcome: Outcome): boolean {
  return outcome.kind === 'ok' && outcome.durability === 'spooled'
}
