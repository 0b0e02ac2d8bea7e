import { Prisma, type PrismaClient } from '#prisma'
import { HOUR_MS, type LedgerFacts, type LedgerSpan, type Tally } from '../../domain/ledger/ledger.ts'
import { inDatabase } from './database.ts'
import { hourOf, KEY_DIGEST, timestamp, WHOLE_HOUR } from './ledger-sql.ts'

/** A tally as JSON. The digest is text, because JSON numbers are not exact. */
type TallyRow = Omit<Tally, 'digest'> & { readonly digest: string }

interface LedgerRow {
  readonly mergedHours: readonly number[]
  readonly live: readonly TallyRow[]
  readonly gone: readonly TallyRow[]
  readonly answers: LedgerFacts['answers']
}

/**
 * Reads what the ledger says about a span. One statement sees one moment: a callback that is deleted meanwhile is either still in its row or
 * already in its hour.
 * @throws {StorageUnavailableError} the database cannot be read now, or not in time
 */
export async function readLedger(prisma: PrismaClient, workspace: string, span: LedgerSpan): Promise<LedgerFacts> {
  const [from, to] = [timestamp(span.fromMs), timestamp(span.toMs)]
  const bin = (time: Prisma.Sql): Prisma.Sql =>
    Prisma.sql`date_bin(make_interval(secs => ${Math.min(span.stepMs, HOUR_MS) / 1000}::float8), ${time}, 'epoch')`
  const within = (time: Prisma.Sql): Prisma.Sql =>
    Prisma.sql`workspace = ${workspace} AND ${time} >= (SELECT since FROM bounds) AND ${time} < (SELECT until FROM bounds)`
  const [row] = await inDatabase(
    () => prisma.$queryRaw<{ ledger: string }[]>`
      WITH merged AS MATERIALIZED (
        SELECT hour FROM ledger_hours
        WHERE workspace = ${workspace} AND hour >= ${hourOf(from)} AND hour < ${to}
        UNION
        SELECT at FROM ledger_answers
        WHERE workspace = ${workspace} AND at >= ${hourOf(from)} AND at < ${to} AND process = ${WHOLE_HOUR}
      ), bounds AS MATERIALIZED (
        -- Merged hours at either end belong to the answer as a whole.
        SELECT least(${from}, min(hour)) AS since, greatest(${to}, max(hour) + interval '1 hour') AS until FROM merged
      )
      SELECT json_build_object(
        'mergedHours', (SELECT coalesce(json_agg(${inMs('hour')}), '[]') FROM merged),
        'live', (SELECT coalesce(json_agg(t), '[]') FROM (
          SELECT ${inMs('at')} AS "fromMs", accepted, keyed, completed, failed, cancelled, digest::text FROM (
            SELECT ${bin(Prisma.sql`received_at`)} AS at, count(*) AS accepted, count(idempotency_key) AS keyed,
              count(*) FILTER (WHERE state = 'completed') AS completed, count(*) FILTER (WHERE state = 'failed') AS failed,
              count(*) FILTER (WHERE state = 'cancelled') AS cancelled, coalesce(sum(${KEY_DIGEST}), 0) AS digest
            FROM callbacks WHERE ${within(Prisma.sql`received_at`)} GROUP BY 1
          ) bins
        ) t),
        'gone', (SELECT coalesce(json_agg(t), '[]') FROM (
          SELECT ${inMs('hour')} AS "fromMs", accepted, keyed, completed, failed, cancelled, keys_digest::text AS digest
          FROM ledger_hours WHERE ${within(Prisma.sql`hour`)}
        ) t),
        'answers', (SELECT coalesce(json_agg(t), '[]') FROM (
          SELECT ${inMs('at')} AS "fromMs", outcome, count FROM (
            SELECT ${bin(Prisma.sql`at`)} AS at, outcome, sum(count) AS count FROM ledger_answers WHERE ${within(Prisma.sql`at`)} GROUP BY 1, 2
          ) bins
        ) t)
      )::text AS ledger`,
  )
  const { live, gone, ...facts } = JSON.parse(row?.ledger as string) as LedgerRow
  return { ...facts, live: live.map(tally), gone: gone.map(tally) }
}

function tally({ digest, ...row }: TallyRow): Tally {
  return { ...row, digest: BigInt(digest) }
}

function inMs(column: 'hour' | 'at'): Prisma.Sql {
  return Prisma.sql`(extract(epoch FROM ${Prisma.raw(column)}) * 1000)::bigint`
}
