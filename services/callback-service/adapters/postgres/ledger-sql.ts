import { Prisma } from '#prisma'

/**
 * The part of one callback in `keys_digest`: the first 8 bytes of the SHA-256 of its key, as a signed integer; NULL without a key. Sums modulo
 * 2^64 of signed and of unsigned integers are the same.
 */
export const KEY_DIGEST = Prisma.sql`('x' || encode(substring(sha256(convert_to(idempotency_key, 'UTF8')) FOR 8), 'hex'))::bit(64)::bigint`

/** The start of the hour of a time, in UTC. */
export function hourOf(time: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`date_bin('1 hour', ${time}, 'epoch')`
}

/** As a number, because Postgres has no year 0 and other words for the years before it. */
export function timestamp(ms: number): Prisma.Sql {
  return Prisma.sql`to_timestamp(${ms}::float8 / 1000)`
}

/** The process of the rows in `ledger_answers` that hold the answers of a whole hour. The text is that of the index, which must match it. */
export const WHOLE_HOUR = Prisma.raw(`'00000000-0000-0000-0000-000000000000'::uuid`)
