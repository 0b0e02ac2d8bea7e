import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackPosition } from '../../domain/callback.ts'
import type { KeysSpan, LedgerKey, LedgerKeys } from '../../domain/ledger/ledger-key.ts'
import { inDatabase } from './database.ts'
import { hourOf, timestamp } from './ledger-sql.ts'

interface KeyRow extends Omit<LedgerKey, 'receivedAt' | 'position'> {
  readonly receivedAt: string
  readonly receivedUs: string
}

/**
 * Reads one page of the keys of callbacks that were received in a span, oldest first. The statement also says whether callbacks of these hours
 * are gone.
 * @param page.position the page is read from there, in the order of the list whichever the direction
 * @throws {StorageUnavailableError} the database cannot be read now, or not in time
 */
export async function readLedgerKeys(
  prisma: PrismaClient,
  { workspace, fromMs, toMs }: KeysSpan,
  { limit, position }: PageRequest<CallbackPosition>,
): Promise<LedgerKeys> {
  const order = Prisma.raw(position?.direction === 'before' ? 'DESC' : 'ASC')
  const beyond = Prisma.raw(position?.direction === 'before' ? '<' : '>')
  const [from, to] = [timestamp(fromMs), timestamp(toMs)]
  const after = position
    ? Prisma.sql`AND (received_at, id) ${beyond} ('epoch'::timestamptz + ${position.key.receivedUs}::float8 * interval '1 microsecond', ${position.key.id}::uuid)`
    : Prisma.empty
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ keys: string; isComplete: boolean }[]>`
      SELECT NOT EXISTS (
        SELECT FROM ledger_hours WHERE workspace = ${workspace} AND hour >= ${hourOf(from)} AND hour < ${to} AND keyed > 0
      ) AS "isComplete", (
        SELECT coalesce(json_agg(json_build_object('key', idempotency_key, 'id', id, 'receivedAt', received_at, 'state', state,
          'receivedUs', (extract(epoch FROM received_at) * 1000000)::bigint::text) ORDER BY received_at, id), '[]')::text
        FROM (
          SELECT id, idempotency_key, received_at, state FROM callbacks
          WHERE workspace = ${workspace} AND idempotency_key IS NOT NULL AND received_at >= ${from} AND received_at < ${to} ${after}
          ORDER BY received_at ${order}, id ${order} LIMIT ${limit}
        ) AS found
      ) AS keys`,
  )
  const keys = (JSON.parse(row?.keys ?? '[]') as KeyRow[]).map(
    ({ receivedUs, receivedAt, ...key }): LedgerKey => ({
      ...key,
      receivedAt: new Date(receivedAt),
      position: { receivedUs, id: key.id },
    }),
  )
  return { keys, isComplete: row?.isComplete ?? false }
}
