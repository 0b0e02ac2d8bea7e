import { randomUUID } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { LeaseUse } from '../../../adapters/postgres/lease-use.ts'
import type { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import type { CallbackEvent } from '../../../domain/callback-event.ts'
import type { LeaseKey } from '../../../domain/leasing/held-lease.ts'
import type { LeaseRooms } from '../../../domain/leasing/use-lease.ts'
import type { TestStorage } from './test-storage.ts'

interface LeaseOptions {
  readonly objectIds?: readonly bigint[]
  readonly agentId?: string
  readonly workspace?: string
  /** Attempts, this lease included. */
  readonly attempts?: number
  readonly leasedAgoMs?: number
  readonly expiresInMs?: number
  readonly returns?: number
  readonly wish?: string
  readonly unstored?: object
}

/** Inserts a callback that an agent has leased. @returns its id, and the key of its lease */
export async function putLease(
  storage: TestStorage,
  options: LeaseOptions = {},
): Promise<{ id: string; key: LeaseKey & { agentId: string } }> {
  const { objectIds = [1n, 2n], agentId = await putAgent(storage), workspace = 'default', attempts = 1, leasedAgoMs = 1000 } = options
  const { expiresInMs = 30_000, returns = 0, wish = null, unstored = null } = options
  const [id, token] = [randomUUID(), uuidv7()]
  await storage.query(
    `INSERT INTO callbacks (id, object_ids, workspace, state, claim_token, agent_id, attempts, leased_at, lease_expires_at, received_at, due_at, returns, wish,
       unstored)
     SELECT $1, $2::bigint[], $3, 'running', $4, $5, $6, now - $7 * interval '1 ms', now + $8 * interval '1 ms', now - interval '1 minute',
       now - interval '1 minute', $9, $10, $11::jsonb FROM clock_timestamp() AS now`,
    [
      id,
      objectIds.map(String),
      workspace,
      token,
      agentId,
      attempts,
      leasedAgoMs,
      expiresInMs,
      returns,
      wish,
      unstored && JSON.stringify(unstored),
    ],
  )
  return { id, key: { token, workspace, agentId } }
}

/** Inserts an agent. @returns its id */
export async function putAgent(storage: TestStorage, workspace = 'default'): Promise<string> {
  const id = uuidv7()
  await storage.query('INSERT INTO agents (id, workspace, name) VALUES ($1, $2, $3)', [id, workspace, `agent ${id}`])
  return id
}

/** Gives a leased callback to another agent, as if its lease had lapsed. @returns the key of the new lease */
export async function leaseAgain(storage: TestStorage, id: string, agentId: string): Promise<LeaseKey> {
  const token = uuidv7()
  await storage.query(
    `UPDATE callbacks SET claim_token = $2, agent_id = $3, delivered = NULL, leased_at = clock_timestamp(), lease_expires_at = clock_timestamp() + interval '30 s'
     WHERE id = $1`,
    [id, token, agentId],
  )
  return { token, workspace: 'default', agentId }
}

/** Joins what the use of a lease needs, with the real storage. @returns the rooms, and what happened in them */
export function leaseRooms(leases: LeaseUse, store: ObjectStore, changes: Partial<LeaseRooms> = {}) {
  const events: CallbackEvent[] = []
  const activity: string[] = []
  const rooms: LeaseRooms = {
    leases,
    store: (object, callback) => store.upsert(object, callback),
    keepsOffline: () => true,
    policy: { maxAttempts: 3, backoff: { baseMs: 10_000, maxMs: 60_000 }, random: () => 0.5 },
    agents: {
      seen: () => activity.push('seen'),
      delivered: (_id, count) => activity.push(`delivered ${count}`),
      finished: () => activity.push('finished'),
    },
    emit: event => events.push(event),
    nowMs: () => performance.now(),
    ...changes,
  }
  return { rooms, events, activity }
}
