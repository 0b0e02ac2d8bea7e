import { checkAcceptance } from '../../../test/chaos/acceptance-checker.ts'
import type { Outcome, SentCallback, StoredCallback } from '../../../test/chaos/history.ts'
import { Origins } from '../../../test/chaos/origins.ts'
import { withClient } from '../../../test/support/database.ts'
import type { Sent } from '../sender.ts'
import type { SentKey } from './traffic.ts'

/**
 * The violations to look for; test/chaos/checker.ts explains them. `failed` callbacks failed although the client service answered for each
 * object.
 */
const CHECKED = ['lost', 'duplicated', 'unexpected', 'stuck', 'altered', 'refused'] as const
type Checked = (typeof CHECKED)[number]

export interface Verdict {
  readonly violations: Readonly<Record<Checked | 'failed', number>>
  /** Number of callbacks without a 202 that are in the database all the same. */
  readonly recovered: number
}

export interface FinishedCallback extends StoredCallback {
  readonly finishedAtMs: number
}

/** Reads all rows of `callbacks`. */
export async function readRows(databaseUrl: string): Promise<FinishedCallback[]> {
  const { rows } = await withClient(databaseUrl, client =>
    client.query(`
      SELECT id, workspace, idempotency_key AS key, state, attempts, object_ids::float8[] AS "objectIds", coalesce(unstored, '[]') AS unstored,
        (extract(epoch FROM finished_at) * 1000)::float8 AS "finishedAtMs"
      FROM callbacks`),
  )
  return rows
}

/** Compares the sender's answers with the database, and prints the first five findings of each violation. */
export function judge(sent: readonly SentKey[], rows: readonly FinishedCallback[], say: (line: string) => void): Verdict {
  const history = sent.map(sentCallback)
  const origins = new Origins(history, rows)
  const findings = checkAcceptance(history, rows, origins)
  for (const violation of CHECKED) if (findings[violation].length > 0) say(`${violation}: ${findings[violation].slice(0, 5).join('; ')}`)
  const counts = Object.fromEntries(CHECKED.map(violation => [violation, findings[violation].length])) as Record<Checked, number>
  const isRecovered = (callback: SentCallback): boolean =>
    callback.outcomes.every(({ kind }) => kind !== 'ok') && origins.rowsOf(callback).length > 0
  return {
    violations: { ...counts, failed: rows.filter(({ state }) => state === 'failed').length },
    recovered: history.filter(isRecovered).length,
  }
}

function sentCallback({ key, objectIds, answers }: SentKey): SentCallback {
  const sentAtMs = Math.min(...answers.map(answer => answer.sentAtMs))
  return { workspace: 'default', key, objectIds, isInvalid: false, sentAtMs, outcomes: answers.map(outcomeOf) }
}

function outcomeOf({ status, id, reason }: Sent): Outcome {
  // The durability matters only for rivals, and nobody sends any here.
  if (id !== undefined) return { kind: 'ok', id, durability: 'database' }
  return status >= 400 && status < 500 ? { kind: 'fail', status, code: String(reason) } : { kind: 'info', reason: `${status} ${reason}` }
}
