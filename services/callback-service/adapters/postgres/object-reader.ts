import type { ObjectId } from '#fetching/object-id.ts'
import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import type { ObjectFilter, ObjectView } from '../../domain/stored-object.ts'
import { inDatabase } from './database.ts'

export interface Readable {
  readonly prisma: PrismaClient
  /** Whether readers of a workspace see objects that are offline. */
  readonly keepOffline: (workspace: string) => boolean
}

/**
 * Reads one object. An expired object is never returned, deleted or not.
 * @returns undefined if there is no such object that readers may see
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findObject(readable: Readable, workspace: string, id: ObjectId): Promise<ObjectView | undefined> {
  const [object] = await read(readable, workspace, Prisma.sql`id = ${id}`, { isBackward: false, limit: 1 })
  return object
}

/**
 * Reads one page of objects, ordered by id, by the primary key.
 * @param page.position where the page begins, in the order of the list in both directions
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export function listObjects(
  readable: Readable,
  { workspace, online }: ObjectFilter,
  { limit, position }: PageRequest<ObjectId>,
): Promise<ObjectView[]> {
  const isBackward = position?.direction === 'before'
  const conditions = [
    ...(position ? [Prisma.sql`id ${Prisma.raw(isBackward ? '<' : '>')} ${position.key}`] : []),
    ...(online === undefined ? [] : [Prisma.sql`online = ${online}`]),
  ]
  return read(readable, workspace, conditions.length > 0 ? Prisma.join(conditions, ' AND ') : Prisma.sql`true`, { isBackward, limit })
}

/** What is found comes as one value: a thousand rows of dates and bigints take this process three times as long. */
async function read(
  { prisma, keepOffline }: Readable,
  workspace: string,
  condition: Prisma.Sql,
  { isBackward, limit }: { readonly isBackward: boolean; readonly limit: number },
): Promise<ObjectView[]> {
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ page: string | null }[]>`
      SELECT json_agg(json_build_object('id', id::text, 'online', online, 'lastSeenAt', ${iso('last_seen_at')},
        'storedAt', ${iso('stored_at')}, 'expiresAt', ${iso('expires_at')}, 'callbackId', callback_id) ORDER BY id)::text AS page
      FROM (
        SELECT * FROM objects
        WHERE workspace = ${workspace} AND ${condition} AND (online OR ${keepOffline(workspace)}::boolean) AND expires_at > clock_timestamp()
        ORDER BY objects.id ${Prisma.raw(isBackward ? 'DESC' : 'ASC')} LIMIT ${limit}
      ) AS found`,
  )
  return JSON.parse(row?.page ?? '[]') as ObjectView[]
}

function iso(column: 'last_seen_at' | 'stored_at' | 'expires_at'): Prisma.Sql {
  return Prisma.sql`to_char(${Prisma.raw(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}
