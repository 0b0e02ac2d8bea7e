import type { PrismaClient } from '#prisma'
import type { ObjectId } from '../../domain/object-id.ts'
import type { Unstored } from '../../domain/processing/claimed-callback.ts'
import { parseUnstored } from './claimed-row.ts'
import { inDatabase } from './database.ts'

/** A callback as readers see it. `unstored` is undefined before its first attempt has ended. */
export interface CallbackView {
  readonly id: string
  readonly state: 'pending' | 'running' | 'completed' | 'failed'
  readonly attempts: number
  readonly objectIds: readonly ObjectId[]
  readonly unstored: readonly Unstored[] | undefined
  readonly requestId: string | null
  readonly traceparent: string | null
  readonly receivedAt: Date
  readonly dueAt: Date
  readonly finishedAt: Date | null
}

/**
 * Reads one callback.
 * @returns undefined if there is no such callback, or no longer
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findCallback(prisma: PrismaClient, id: string): Promise<CallbackView | undefined> {
  const row = await inDatabase(() => prisma.callback.findUnique({ where: { id } }))
  if (!row) return undefined
  return { ...row, unstored: row.unstored === null ? undefined : parseUnstored(row.unstored) }
}
