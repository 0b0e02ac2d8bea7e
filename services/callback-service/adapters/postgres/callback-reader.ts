import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackFilter, CallbackPosition, CallbackView, ListedCallback } from '../../domain/callback.ts'
import type { CallbackKey } from '../../domain/steering/steered.ts'
import { parseUnstored } from './claimed-row.ts'
import { inDatabase } from './database.ts'

/**
 * Reads one callback of a workspace.
 * @returns undefined if there is no such callback, or no longer
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findCallback(prisma: PrismaClient, workspace: string, id: string): Promise<CallbackView | undefined> {
  const row = await inDatabase(() => prisma.callback.findUnique({ where: { id, workspace }, omit: { timeline: true } }))
  return row ? viewOf(row) : undefined
}

/**
 * Reads callbacks in one statement.
 * @returns one for each key, in order; undefined if there is no such callback, or no longer
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findCallbacks(prisma: PrismaClient, keys: readonly CallbackKey[]): Promise<(CallbackView | undefined)[]> {
  const ids = [...new Set(keys.map(({ id }) => id))]
  const rows = await inDatabase(() => prisma.callback.findMany({ where: { id: { in: ids } }, omit: { timeline: true } }))
  const found = new Map(rows.map(row => [row.id, viewOf(row)]))
  return keys.map(({ workspace, id }) => (found.get(id)?.workspace === workspace ? found.get(id) : undefined))
}

/**
 * Reads those of the callbacks that are finished, in one statement.
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function findFinishedCallbacks(prisma: PrismaClient, ids: readonly string[]): Promise<CallbackView[]> {
  const rows = await inDatabase(() =>
    prisma.callback.findMany({ where: { id: { in: [...ids] }, finishedAt: { not: null } }, omit: { timeline: true } }),
  )
  return rows.map(viewOf)
}

function viewOf(row: Prisma.CallbackGetPayload<{ omit: { timeline: true } }>): CallbackView {
  return { ...row, unstored: row.unstored === null ? undefined : parseUnstored(row.unstored) }
}

/** A row as JSON: times in ISO 8601. */
interface ListedRow extends Omit<ListedCallback, 'receivedAt' | 'dueAt' | 'finishedAt' | 'position'> {
  readonly receivedAt: string
  readonly dueAt: string
  readonly finishedAt: string | null
  readonly receivedUs: string
}

/**
 * One page, newest first. There is no index on the time of receipt, which would make each callback dearer to accept: the whole table is read once, but
 * where `state` is pending or running, which have an index. A read that takes longer than the connection's timeout is given up.
 * @param page.position the page is read from there, in the order of the list whichever the direction
 * @throws {StorageUnavailableError}
 */
export async function listCallbacks(
  prisma: PrismaClient,
  { workspace, state, receivedAfter, receivedBefore, objectId }: CallbackFilter,
  { limit, position }: PageRequest<CallbackPosition>,
): Promise<ListedCallback[]> {
  const isBackward = position?.direction === 'before'
  const order = Prisma.raw(isBackward ? 'ASC' : 'DESC')
  const conditions = [
    Prisma.sql`workspace = ${workspace}`,
    ...(state === undefined ? [] : [Prisma.sql`state = ${state}::callback_state`]),
    ...(receivedAfter ? [Prisma.sql`received_at >= ${timestamp(receivedAfter)}`] : []),
    ...(receivedBefore ? [Prisma.sql`received_at < ${timestamp(receivedBefore)}`] : []),
    ...(objectId === undefined ? [] : [Prisma.sql`object_ids @> ARRAY[${objectId}::bigint]`]),
    ...(position ? [Prisma.sql`(received_at, id) ${Prisma.raw(isBackward ? '>' : '<')} ${place(position.key)}`] : []),
  ]
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ page: string | null }[]>`
      SELECT json_agg(json_build_object('id', id, 'workspace', workspace, 'state', state, 'priority', priority, 'wish', wish, 'attempts', attempts, 'objectCount', cardinality(object_ids),
        'requestId', request_id, 'traceparent', traceparent, 'receivedAt', received_at, 'dueAt', due_at, 'finishedAt', finished_at,
        'receivedUs', (extract(epoch FROM received_at) * 1000000)::bigint::text) ORDER BY received_at DESC, id DESC)::text AS page
      FROM (
        SELECT * FROM callbacks WHERE ${Prisma.join(conditions, ' AND ')}
        ORDER BY received_at ${order}, id ${order} LIMIT ${limit}
      ) AS found`,
  )
  return (JSON.parse(row?.page ?? '[]') as ListedRow[]).map(listed)
}

function listed({ receivedUs, receivedAt, dueAt, finishedAt, ...row }: ListedRow): ListedCallback {
  return {
    ...row,
    receivedAt: new Date(receivedAt),
    dueAt: new Date(dueAt),
    finishedAt: finishedAt === null ? null : new Date(finishedAt),
    position: { receivedUs, id: row.id },
  }
}

/** As a number: Postgres has no year 0, and other words for those before it. */
function timestamp(date: Date): Prisma.Sql {
  return Prisma.sql`to_timestamp(${date.getTime()}::float8 / 1000)`
}

function place({ receivedUs, id }: CallbackPosition): Prisma.Sql {
  return Prisma.sql`('epoch'::timestamptz + ${receivedUs}::float8 * interval '1 microsecond', ${id}::uuid)`
}
