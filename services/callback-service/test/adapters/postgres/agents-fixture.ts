import { randomUUID } from 'node:crypto'
import type { KnownAgent } from '../../../domain/agents/agent.ts'
import type { TestStorage } from './test-storage.ts'

/** Makes a workspace whose objects agents fetch, unless `changes` say otherwise. */
export async function putWorkspace(
  storage: TestStorage,
  name: string,
  changes: { fetcher?: string | null; labels?: readonly string[]; paused?: boolean } = {},
): Promise<void> {
  const { fetcher = 'agents', labels = [], paused = false } = changes
  await storage.query(
    `INSERT INTO workspaces (name, fetcher, agent_labels, paused) VALUES ($1, $2, $3, $4)
     ON CONFLICT (name) DO UPDATE SET fetcher = $2, agent_labels = $3, paused = $4`,
    [name, fetcher, labels, paused],
  )
}

/** Makes an agent. @returns it as the directory would have it */
export async function putAgent(storage: TestStorage, changes: Partial<KnownAgent> = {}): Promise<KnownAgent> {
  const id = randomUUID()
  const agent: KnownAgent = { id, workspace: 'plant', name: id.slice(0, 8), labels: [], maxLeases: 16, isArchived: false, ...changes }
  await storage.query('INSERT INTO agents (id, workspace, name, labels, max_leases, archived_at) VALUES ($1, $2, $3, $4, $5, $6)', [
    ...[agent.id, agent.workspace, agent.name, agent.labels, agent.maxLeases],
    agent.isArchived ? new Date() : null,
  ])
  return agent
}

export interface LeasedRow {
  readonly state: string
  readonly attempts: number
  readonly returns: number
  readonly agent_id: string | null
  readonly claim_token: string | null
  readonly claimed_by: number | null
  readonly delivered: string[] | null
  readonly unstored: unknown
  readonly wish: string | null
  readonly due_in_ms: number
  readonly is_finished: boolean
  readonly timeline: { event: string; agent?: string; state?: string; attempt?: number; counts?: object }[] | null
}

export async function readLeased(storage: TestStorage, id: string): Promise<LeasedRow> {
  const [row] = await storage.query<LeasedRow>(
    `SELECT state, attempts, returns, agent_id, claim_token, claimed_by, delivered::text[], unstored, wish, finished_at IS NOT NULL AS is_finished, timeline,
       extract(epoch FROM due_at - clock_timestamp())::float8 * 1000 AS due_in_ms FROM callbacks WHERE id = $1`,
    [id],
  )
  if (!row) throw new Error(`no callback ${id}`)
  return row
}

/** Changes the row of a callback. @param set assignments in SQL */
export async function changeRow(storage: TestStorage, id: string, set: string): Promise<void> {
  await storage.query(`UPDATE callbacks SET ${set} WHERE id = $1`, [id])
}
