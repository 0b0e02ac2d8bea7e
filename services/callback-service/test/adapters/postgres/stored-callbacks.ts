import { randomUUID } from 'node:crypto'
import type { ClaimQuota, ClaimShare } from '../../../domain/processing/claim-quota.ts'
import type { TestStorage } from './test-storage.ts'

export interface StoredCallback {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly claimed_by: number | null
  readonly claim_token: string | null
  readonly unstored: unknown
  readonly due_in_ms: number
  readonly is_finished: boolean
}

/** Inserts a callback as if some time ago. Backdating replaces sleeping. @returns its id */
export async function putCallback(
  storage: TestStorage,
  options: { objectIds?: readonly bigint[]; priority?: number; dueInMs?: number; finishedAgoMs?: number; workspace?: string } = {},
): Promise<string> {
  const { objectIds = [1n, 2n], priority = 0, dueInMs = -1000, finishedAgoMs, workspace = 'default' } = options
  const id = randomUUID()
  await storage.query(
    `INSERT INTO callbacks (id, object_ids, priority, due_at, state, finished_at, workspace) VALUES ($1, $2::bigint[], $3,
       clock_timestamp() + $4 * interval '1 ms', $5::callback_state, clock_timestamp() - $6 * interval '1 ms', $7)`,
    [id, objectIds.map(String), priority, dueInMs, finishedAgoMs === undefined ? 'pending' : 'completed', finishedAgoMs ?? null, workspace],
  )
  return id
}

export async function readCallback(storage: TestStorage, id: string): Promise<StoredCallback> {
  const [row] = await storage.query<StoredCallback>(
    `SELECT id, state, attempts, claimed_by, claim_token, unstored, finished_at IS NOT NULL AS is_finished,
       extract(epoch FROM due_at - clock_timestamp())::float8 * 1000 AS due_in_ms
     FROM callbacks WHERE id = $1`,
    [id],
  )
  if (!row) throw new Error(`no callback ${id}`)
  return row
}

/** Makes a quota of `callbacks` callbacks of one workspace, with any number of objects and any age. */
export function upTo(callbacks: number, changes: Partial<ClaimShare> = {}): ClaimQuota {
  return { shares: [{ workspace: 'default', callbacks, objects: 1_000_000, minAgeMs: 0, ...changes }] }
}
