import type { PrismaClient } from '#prisma'
import type { CallbackKey } from '../../domain/steering/steered.ts'
import type { CallbackPast, TimelineEntry } from '../../domain/steering/timeline.ts'
import { inDatabase } from './database.ts'
import { timeOf } from './timeline-entry.ts'

/**
 * Reads what happened to a callback.
 * @returns undefined if there is no such callback, or no longer
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function readTimeline(prisma: PrismaClient, { workspace, id }: CallbackKey): Promise<CallbackPast | undefined> {
  const row = await inDatabase(() => prisma.callback.findUnique({ where: { id, workspace }, omit: { objectIds: true, unstored: true } }))
  if (!row) return undefined
  const entries = (row.timeline ?? []) as unknown as TimelineEntry[]
  const { claimedBy, claimToken } = row
  const attempt = row.attempts - row.crashes
  const worked = claimedBy === null || claimToken === null ? undefined : { worker: claimedBy, at: timeOf(claimToken), attempt }
  const claim = worked ?? (await leaseOf(prisma, row, attempt))
  const numbers = [...entries.map(({ worker }) => worker), worked?.worker].filter(number => number !== undefined)
  const workers = await inDatabase(() => prisma.worker.findMany({ where: { number: { in: numbers } } }))
  const processes = new Map(workers.map(({ number, host, pid }) => [number, { host, pid }]))
  const isSpooled = entries.some(({ event }) => event === 'drained')
  return { id, state: row.state, receivedAt: row.receivedAt, isSpooled, entries, claim, processes }
}

async function leaseOf(
  prisma: PrismaClient,
  { agentId, leasedAt }: { readonly agentId: string | null; readonly leasedAt: Date | null },
  attempt: number,
) {
  if (agentId === null || leasedAt === null) return undefined
  const agent = await inDatabase(() => prisma.agent.findUnique({ where: { id: agentId }, select: { name: true } }))
  return { agent: agent?.name ?? agentId, at: leasedAt.getTime(), attempt }
}
