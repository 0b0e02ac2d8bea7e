import type pg from 'pg'
import { migrate } from '#prisma/migrate.ts'
import { withClient } from '../../test/support/database.ts'

/** Creates another migrated database on the server of `databaseUrl`. @returns its URL */
export async function addDatabase(databaseUrl: string, name: string): Promise<string> {
  await withClient(databaseUrl, db => db.query(`CREATE DATABASE ${name}`))
  const url = new URL(databaseUrl)
  url.pathname = `/${name}`
  await migrate({ url: url.href })
  return url.href
}

/** Stores objects 1 to `count`, which expire in one to two hours, and vacuums the table like autovacuum. */
export async function storeObjects(db: pg.Client, count: number): Promise<void> {
  await db.query(
    `INSERT INTO objects (id, online, last_seen_at, fetched_at, stored_at, expires_at, callback_id)
     SELECT i, i % 2 = 0, now(), now(), now(), now() + interval '1 hour' * (1 + i / $1::float8), gen_random_uuid()
     FROM generate_series(1, $1::bigint) AS i`,
    [count],
  )
  await db.query('VACUUM ANALYZE objects')
}

/** Replaces all callbacks by `count` due callbacks with `ids` ids each. */
export async function replaceCallbacks(db: pg.Client, count: number, ids: number): Promise<void> {
  await db.query('TRUNCATE callbacks')
  await db.query(
    `INSERT INTO callbacks (id, received_at, due_at, object_ids)
     SELECT gen_random_uuid(), at, at, ARRAY(SELECT i * 1000 + k FROM generate_series(1, $2::bigint) AS k)
     FROM (SELECT i, now() - i * interval '1 ms' AS at FROM generate_series(1, $1::bigint) AS i) AS each`,
    [count, ids],
  )
  await db.query('VACUUM ANALYZE callbacks')
}
