import { Prisma, type PrismaClient } from '#prisma'
import type { ObjectId } from '../../domain/object-id.ts'
import { inDatabase } from './database.ts'

/** An object as readers see it. */
export interface ObjectRow {
  readonly id: ObjectId
  readonly online: boolean
  /** When a fetch last found it online; null if none has. */
  readonly last_seen_at: Date | null
  readonly stored_at: Date
  readonly expires_at: Date
  readonly callback_id: string
}

/** An object as pages list it: the id is a string of digits, times are in ISO 8601. */
export interface ListedObject extends Pick<ObjectRow, 'online' | 'callback_id'> {
  readonly id: string
  readonly last_seen_at: string | null
  readonly stored_at: string
  readonly expires_at: string
}

export interface Readable {
  readonly prisma: PrismaClient
  /** Whether readers see objects that are offline. */
  readonly keepOffline: boolean
}

/**
 * Reads one object. An expired object is never returned, deleted or not.
 * @returns undefined if there is no such object that readers may see
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findObject({ prisma, keepOffline }: Readable, id: ObjectId): Promise<ObjectRow | undefined> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<ObjectRow[]>`
      SELECT id, online, last_seen_at, stored_at, expires_at, callback_id FROM objects
      WHERE id = ${id} AND (online OR ${keepOffline}::boolean) AND expires_at > clock_timestamp()`,
  )
  return rows[0]
}

/**
 * Reads one page of objects, ordered by id. Postgres returns the page as one JSON value, because a thousand rows of dates and bigints take
 * this process three times as long.
 * @param page.after the last id of the previous page
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function listObjects(
  { prisma, keepOffline }: Readable,
  page: { readonly online: boolean | undefined; readonly after: ObjectId | undefined; readonly limit: number },
): Promise<ListedObject[]> {
  const { online = null, after = null, limit } = page
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ page: string | null }[]>`
      SELECT json_agg(json_build_object('id', id::text, 'online', online, 'last_seen_at', ${iso('last_seen_at')},
        'stored_at', ${iso('stored_at')}, 'expires_at', ${iso('expires_at')}, 'callback_id', callback_id) ORDER BY id)::text AS page
      FROM (
        SELECT * FROM objects
        WHERE (${after}::bigint IS NULL OR id > ${after}::bigint)
          AND (${online}::boolean IS NULL OR online = ${online}::boolean)
          AND (online OR ${keepOffline}::boolean) AND expires_at > clock_timestamp()
        ORDER BY objects.id LIMIT ${limit}
      ) AS found`,
  )
  return JSON.parse(row?.page ?? '[]') as ListedObject[]
}

function iso(column: 'last_seen_at' | 'stored_at' | 'expires_at'): Prisma.Sql {
  return Prisma.sql`to_char(${Prisma.raw(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}
