import { Prisma, type PrismaClient } from '#prisma'
import type { ObjectId } from '../../domain/object-id.ts'
import { inDatabase } from './database.ts'

/** An object as readers see it. */
export interface ObjectRow {
  readonly id: ObjectId
  readonly online: boolean
  /** When it was last fetched and online. */
  readonly last_seen_at: Date | null
  readonly stored_at: Date
  readonly expires_at: Date
  readonly callback_id: string
}

/** The same as it comes in pages: the id in digits, times in ISO 8601. */
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

/** No reader gets an object that is past its time, deleted or not. @throws {StorageUnavailableError} */
export async function findObject({ prisma, keepOffline }: Readable, id: ObjectId): Promise<ObjectRow | undefined> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<ObjectRow[]>`
      SELECT id, online, last_seen_at, stored_at, expires_at, callback_id FROM objects
      WHERE id = ${id} AND (online OR ${keepOffline}::boolean) AND expires_at > clock_timestamp()`,
  )
  return rows[0]
}

/**
 * One page, in the order of ids. It comes as one value: a thousand rows of dates and bigints take this process three times as long.
 * @param page.after the last id of the page before
 * @throws {StorageUnavailableError}
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
