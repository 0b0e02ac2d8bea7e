import assert from 'node:assert/strict'
import type pg from 'pg'
import { createTestDatabase, type TestDatabase, withClient } from '../test/support/database.ts'
import { sqlOfSchema } from '../test/support/schema-engine.ts'

describe('the migrated database', () => {
  let migrated: TestDatabase
  let declared: TestDatabase

  before(async () => {
    migrated = await createTestDatabase()
    declared = await createTestDatabase({ isEmpty: true })
  })

  after(async () => {
    await migrated.drop()
    await declared.drop()
  })

  it('is what schema.prisma declares', async () => {
    const sql = await sqlOfSchema(declared.url)
    await withClient(declared.url, client => client.query(sql))
    const catalog = await withClient(declared.url, readCatalog)
    assert.ok(catalog.columns.length > 20, 'the declared schema was read')
    assert.deepEqual(await withClient(migrated.url, readCatalog), catalog)
  })

  it('is vacuumed early and leaves room for updates in place, which schema.prisma cannot say', async () => {
    const { rows } = await withClient(migrated.url, client =>
      client.query(
        `SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relnamespace = 'public'::regnamespace ORDER BY relname`,
      ),
    )
    assert.deepEqual(rows, [
      {
        relname: 'callbacks',
        reloptions: ['autovacuum_vacuum_scale_factor=0.02', 'autovacuum_vacuum_insert_scale_factor=0.1', 'fillfactor=80'],
      },
      { relname: 'objects', reloptions: ['autovacuum_vacuum_scale_factor=0.02', 'fillfactor=80'] },
    ])
  })
})

async function readCatalog(client: pg.Client) {
  const rows = async (sql: string): Promise<object[]> => (await client.query<object>(sql)).rows
  return {
    columns: await rows(`
      SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
             a.attidentity AS identity, a.attgenerated AS generated, pg_get_expr(d.adbin, d.adrelid) AS "default"
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       WHERE ${OURS} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2`),
    indexes: await rows(`
      SELECT pg_get_indexdef(i.indexrelid) AS definition
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE ${OURS} ORDER BY 1`),
    constraints: await rows(`
      SELECT n.conname AS name, c.relname AS "table", pg_get_constraintdef(n.oid) AS definition
        FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid WHERE ${OURS} ORDER BY 1, 2`),
    enums: await rows(`
      SELECT t.typname AS name, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY 1 ORDER BY 1`),
    others: await rows(
      `SELECT c.relkind AS kind, c.relname AS name FROM pg_class c WHERE ${OURS} AND c.relkind IN ('S', 'v', 'm', 'p', 'f') ORDER BY 1, 2`,
    ),
  }
}

const OURS = `c.relnamespace = 'public'::regnamespace AND c.relname <> '_prisma_migrations'`
