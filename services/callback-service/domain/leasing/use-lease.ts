import type { FetchedObject } from '#fetching/fetched-object.ts'
import type { ObjectId } from '#fetching/object-id.ts'
import type { AgentActivity } from '../agents/agent.ts'
import type { CallbackState } from '../callback.ts'
import type { CallbackEvent } from '../callback-event.ts'
import type { Verdict } from '../processing/claimed-callback.ts'
import type { ProcessingPolicy } from '../processing/process-callback.ts'
import { StorageUnavailableError } from '../storage-errors.ts'
import type { HeldLease, LeaseKey } from './held-lease.ts'
import { LeaseLostError, NotWantedError } from './lease-errors.ts'
import { type LeaseEnding, leaseVerdict } from './lease-verdict.ts'
import type { DeliveredObject } from './parse-delivery.ts'

/** What the use of a lease needs. */
export interface LeaseRooms {
  readonly leases: {
    read(key: LeaseKey, renewSeconds?: number): Promise<HeldLease | undefined>
    mark(held: HeldLease, ids: readonly ObjectId[], offline: readonly ObjectId[]): Promise<{ wanted: number; expiresAt: Date } | undefined>
    end(held: HeldLease, verdict: Verdict): Promise<CallbackState | undefined>
  }
  /** Stores an object. It is on the disk when this resolves. */
  readonly store: (object: FetchedObject, callback: { readonly id: string; readonly workspace: string }) => Promise<void>
  readonly keepsOffline: (workspace: string) => boolean
  readonly policy: Pick<ProcessingPolicy, 'maxAttempts' | 'backoff' | 'random'>
  readonly agents: Pick<AgentActivity, 'seen' | 'delivered' | 'finished'>
  readonly emit: (event: CallbackEvent) => void
  readonly nowMs: () => number
}

/** What became of a delivery. */
export interface Delivered {
  /** Number of objects that came for the first time. */
  readonly stored: number
  /** Number of objects that the lease still asks for. */
  readonly wanted: number
  readonly expiresAt: Date
}

/** An agent may deliver while it finishes. Each of its deliveries makes the verdict once more. */
const MAX_VERDICTS = 10

/** Reads and renews a lease. @throws {LeaseLostError} @throws {StorageUnavailableError} */
export async function renewLease(rooms: LeaseRooms, key: LeaseKey, seconds: number): Promise<HeldLease> {
  return held(rooms, key, await rooms.leases.read(key, seconds))
}

/**
 * Stores what an agent delivers, and then notes that it came and renews the lease. It is safe to repeat: what came before is skipped. If the lease
 * ends meanwhile, the objects stay stored, because the agent asked for them while it had the lease.
 * @throws {LeaseLostError} the lease is not live, or ended meanwhile
 * @throws {NotWantedError} nothing was stored
 * @throws {StorageUnavailableError} some objects may be stored; deliver them all again
 */
export async function deliver(rooms: LeaseRooms, key: LeaseKey, objects: readonly DeliveredObject[]): Promise<Delivered> {
  const lease = held(rooms, key, await rooms.leases.read(key))
  const { callback, asked, delivered, leasedAtMs, leasedEpochMs } = lease
  const strangers = objects.filter(({ id }) => !asked.has(id))
  if (strangers.length > 0) throw new NotWantedError(strangers.map(({ id }) => id))
  const fresh = objects.filter(({ id }) => !delivered.has(id))
  // The agent learned of the ids from the lease, so it asked for them later, whatever its clock says.
  await settled(fresh.map(({ id, online }) => rooms.store({ id, online, leftAtMs: leasedAtMs, fetchedAtMs: leasedEpochMs }, callback)))
  const offline = rooms.keepsOffline(callback.workspace) ? [] : fresh.filter(({ online }) => !online)
  const marked = await rooms.leases.mark(
    lease,
    fresh.map(({ id }) => id),
    offline.map(({ id }) => id),
  )
  if (!marked) throw new LeaseLostError()
  if (fresh.length > 0) rooms.agents.delivered(lease.lease.agentId, fresh.length)
  return { stored: fresh.length, ...marked }
}

/**
 * Ends a lease as its agent says.
 * @returns the lease, and the state that the callback got: somebody may have wished it paused or cancelled
 * @throws {LeaseLostError} the lease is not live; perhaps because this ended it before
 * @throws {NotWantedError} @throws {ObjectsMissingError} the lease goes on
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function endLease(
  rooms: LeaseRooms,
  key: LeaseKey,
  ending: LeaseEnding,
): Promise<{ readonly state: CallbackState; readonly held: HeldLease }> {
  for (let made = 0; made < MAX_VERDICTS; made += 1) {
    const lease = held(rooms, key, await rooms.leases.read(key))
    const state = await rooms.leases.end(lease, leaseVerdict(lease, ending, rooms.policy))
    if (state) {
      told(rooms, lease, state)
      return { state, held: lease }
    }
  }
  throw new StorageUnavailableError('the agent goes on delivering while it finishes')
}

function held({ agents }: LeaseRooms, key: LeaseKey, lease: HeldLease | undefined): HeldLease {
  if (!lease) {
    if (key.agentId !== undefined) agents.seen(key.agentId)
    throw new LeaseLostError()
  }
  agents.seen(lease.lease.agentId)
  return lease
}

function told({ agents, emit, nowMs }: LeaseRooms, { lease, callback, leasedAtMs }: HeldLease, state: CallbackState): void {
  const { id, workspace, attempt, missingIds, waitedMs } = callback
  if (state === 'completed' || state === 'failed') agents.finished(lease.agentId)
  emit({ event: 'settled', id, workspace, attempt, state, objects: missingIds.length, waitedMs, workedMs: nowMs() - leasedAtMs })
}

/** Waits for all, also if one fails, so that nothing goes on after the answer. @throws what the first that failed has thrown */
async function settled(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
}
