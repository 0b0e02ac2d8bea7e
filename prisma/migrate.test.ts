import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { freePort } from '../deploy/local/ports.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../test/support/database.ts'
import { eventually } from '../test/support/eventually.ts'
import { deployWithPrisma } from '../test/support/schema-engine.ts'
import { migrate, pendingMigrations, readMigrations } from './migrate.ts'

describe('migrate', () => {
  let database: TestDatabase
  let folder: string

  beforeEach(async () => {
    database = await createTestDatabase({ isEmpty: true })
    folder = await mkdtemp(join(tmpdir(), 'answerback-migrations-'))
  })

  afterEach(async () => {
    await database.drop()
    await rm(folder, { recursive: true })
  })

  it('brings an empty database to our schema and says which migrations it applied', async () => {
    const names = (await readMigrations()).map(migration => migration.name)
    const logged: unknown[] = []
    const applied = await migrate({ url: database.url, logger: { info: (fields, message) => logged.push([message, fields]) } })
    assert.deepEqual(applied, names)
    assert.deepEqual(
      logged,
      names.map(migration => ['migration applied', { migration }]),
    )
    assert.deepEqual((await tables()).sort(), [
      '_prisma_migrations',
      'access_keys',
      'access_revision',
      'agents',
      'callbacks',
      'clock_steps',
      'ledger_answers',
      'ledger_hours',
      'objects',
      'operations',
      'workers',
      'workspaces',
    ])
  })

  it('moves what was there before there were workspaces to the workspace default', async () => {
    for (const { name, sql } of (await readMigrations()).slice(0, 2)) await write(name, sql)
    await migrate({ url: database.url, folder: url() })
    const id = '01890a5d-ac96-774b-bcce-b302099a8057'
    await withClient(database.url, async client => {
      await client.query(`INSERT INTO callbacks (id, object_ids, idempotency_key) VALUES ($1, '{7}', 'k')`, [id])
      await client.query('INSERT INTO callbacks (id) SELECT gen_random_uuid() FROM generate_series(1, 2)')
      await client.query(
        `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id) VALUES (7, true, now(), now(), now(), $1)`,
        [id],
      )
    })
    assert.equal((await migrate({ url: database.url }))[0], '20261124000000_workspaces')
    await withClient(database.url, async client => {
      const { rows: callbacks } = await client.query('SELECT workspace, count(*)::int FROM callbacks GROUP BY 1')
      assert.deepEqual(callbacks, [{ workspace: 'default', count: 3 }])
      const { rows: objects } = await client.query('SELECT workspace, id FROM objects')
      assert.deepEqual(objects, [{ workspace: 'default', id: '7' }])
      // A statement of the release before, whose replicas may still accept callbacks.
      const before = `INSERT INTO callbacks (id, idempotency_key) VALUES (gen_random_uuid(), 'k') ON CONFLICT DO NOTHING`
      assert.equal((await client.query(before)).rowCount, 0)
    })
  })

  it('does nothing the second time', async () => {
    await migrate({ url: database.url })
    const before = await journal()
    assert.deepEqual(await migrate({ url: database.url }), [])
    assert.deepEqual(await journal(), before)
  })

  it('applies each migration once when three start at once', async () => {
    await write('1_counted', 'CREATE TABLE counted (n int); SELECT pg_sleep(0.1)')
    const results = await Promise.all([1, 2, 3].map(() => migrate({ url: database.url, folder: url() })))
    assert.deepEqual(results.flat(), ['1_counted'])
    assert.equal((await journal()).length, 1)
  })

  it('writes the journal that Prisma reads: a finished row with the checksum of the file', async () => {
    await write('1_first', 'SELECT 1')
    await migrate({ url: database.url, folder: url() })
    const [row, ...others] = await journal()
    assert.deepEqual(others, [])
    assert.ok(row?.finished_at instanceof Date && row.finished_at >= row.started_at)
    assert.match(row.id, /^[0-9a-f-]{36}$/)
    assert.deepEqual(
      [row.migration_name, row.checksum, row.applied_steps_count, row.logs, row.rolled_back_at],
      ['1_first', 'e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5', 1, null, null],
    )
  })

  it('applies only missing migrations, in the order of their names', async () => {
    await write('2_second', 'ALTER TABLE t ADD b int')
    await write('1_first', 'CREATE TABLE t (a int)')
    assert.deepEqual(await migrate({ url: database.url, folder: url() }), ['1_first', '2_second'])
    await write('3_third', 'ALTER TABLE t ADD c int')
    assert.deepEqual(await migrate({ url: database.url, folder: url() }), ['3_third'])
  })

  it('leaves nothing behind of a migration that fails, and keeps those before it', async () => {
    await write('1_good', 'CREATE TABLE good (n int)')
    await write('2_bad', 'CREATE TABLE bad (n int); SELECT 1 / 0')
    await assert.rejects(migrate({ url: database.url, folder: url() }), {
      code: 'migration_failed',
      message: 'migration 2_bad failed: division by zero',
    })
    assert.deepEqual((await tables()).sort(), ['_prisma_migrations', 'good'])
    assert.deepEqual(
      (await journal()).map(row => row.migration_name),
      ['1_good'],
    )
  })

  it('refuses a migration that was changed after it was applied', async () => {
    await write('1_first', 'CREATE TABLE t (a int)')
    await migrate({ url: database.url, folder: url() })
    await write('1_first', 'CREATE TABLE t (a bigint)')
    await write('2_second', 'CREATE TABLE u (a int)')
    await assert.rejects(migrate({ url: database.url, folder: url() }), {
      code: 'migration_changed',
      message: /1_first was changed after this database applied it/,
    })
    assert.ok(!(await tables()).includes('u'))
  })

  it('stops if Prisma left a migration unfinished, and continues when that is marked as rolled back', async () => {
    await write('1_first', 'SELECT 1')
    await migrate({ url: database.url, folder: url() })
    await query('UPDATE _prisma_migrations SET finished_at = NULL')
    await assert.rejects(migrate({ url: database.url, folder: url() }), { code: 'migration_unfinished', message: /1_first/ })
    await query('UPDATE _prisma_migrations SET rolled_back_at = now()')
    assert.deepEqual(await migrate({ url: database.url, folder: url() }), ['1_first'])
  })

  it('ignores migrations of a newer version', async () => {
    await write('1_first', 'SELECT 1')
    await write('2_newer', 'SELECT 1')
    await migrate({ url: database.url, folder: url() })
    await rm(join(folder, '2_newer'), { recursive: true })
    assert.deepEqual(await migrate({ url: database.url, folder: url() }), [])
  })

  it("waits for Prisma's migrate lock", async () => {
    await write('1_first', 'SELECT 1')
    await withClient(database.url, async client => {
      await client.query('SELECT pg_advisory_lock(72707369)')
      const migrating = migrate({ url: database.url, folder: url() })
      await untilSomebodyWaits(client)
      assert.deepEqual(await tables(), [])
      await client.query('SELECT pg_advisory_unlock(72707369)')
      assert.deepEqual(await migrating, ['1_first'])
    })
  })

  it('leaves nothing to do for Prisma', async () => {
    await migrate({ url: database.url })
    const before = await journal()
    assert.deepEqual(await deployWithPrisma(database.url), [])
    assert.deepEqual(await journal(), before)
  })

  it('finds nothing to do after Prisma', async () => {
    const names = (await readMigrations()).map(migration => migration.name)
    assert.deepEqual(await deployWithPrisma(database.url), names)
    const prismas = await columnsOfJournal()
    assert.deepEqual(await migrate({ url: database.url }), [])

    await query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    await migrate({ url: database.url })
    assert.deepEqual(await columnsOfJournal(), prismas)
  })

  for (const [what, sql, isHeld] of [
    ['waits for another', 'SELECT 1', true],
    ['applies one, of which nothing stays', 'CREATE TABLE half (n int); SELECT pg_sleep(60)', false],
  ] as const) {
    it(`ends at once when it is told to while it ${what}, and leaves no connection behind`, async () => {
      await write('1_long', sql)
      await withClient(database.url, async other => {
        if (isHeld) await other.query('SELECT pg_advisory_lock(72707369)')
        const stop = new AbortController()
        const migrating = migrate({ url: database.url, folder: url(), signal: stop.signal })
        const connections = async () =>
          (await other.query(`SELECT wait_event FROM pg_stat_activity WHERE application_name = 'answerback-migrate'`)).rows
        await eventually('it waits', async () => /advisory|PgSleep/.test((await connections())[0]?.wait_event ?? ''))
        const stopped = performance.now()
        stop.abort(new Error('enough'))
        await assert.rejects(migrating, { message: 'enough' })
        assert.ok(performance.now() - stopped < 500)
        await other.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)
        await eventually('its connection is gone', async () => (await connections()).length === 0)
      })
      assert.ok(!(await tables()).includes('half'))
    })
  }

  it('fails at once when the database cannot be reached', async () => {
    await assert.rejects(migrate({ url: `postgresql://u:p@127.0.0.1:${await freePort()}/d` }), { code: 'ECONNREFUSED' })
  })

  async function write(name: string, sql: string): Promise<void> {
    await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, name, 'migration.sql'), sql)
  }

  function url(): URL {
    return pathToFileURL(`${folder}/`)
  }

  async function query<Row extends object>(sql: string): Promise<Row[]> {
    return withClient(database.url, async client => (await client.query<Row>(sql)).rows)
  }

  async function tables(): Promise<string[]> {
    const rows = await query<{ tablename: string }>(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)
    return rows.map(row => row.tablename)
  }

  function columnsOfJournal(): Promise<object[]> {
    return query(`SELECT column_name, data_type, character_maximum_length, is_nullable, column_default
                    FROM information_schema.columns WHERE table_name = '_prisma_migrations' ORDER BY ordinal_position`)
  }

  function journal(): Promise<JournalRow[]> {
    return query<JournalRow>('SELECT * FROM _prisma_migrations ORDER BY started_at')
  }
})

describe('pendingMigrations', () => {
  it('names the migrations that a database lacks', async () => {
    const [first, ...others] = (await readMigrations()).map(migration => migration.name)
    assert.deepEqual(await pendingMigrations([]), [first, ...others])
    assert.deepEqual(await pendingMigrations([first ?? '', 'of_a_newer_version']), others)
  })
})

interface JournalRow {
  id: string
  checksum: string
  migration_name: string
  started_at: Date
  finished_at: Date | null
  rolled_back_at: Date | null
  logs: string | null
  applied_steps_count: number
}

async function untilSomebodyWaits(client: { query(sql: string): Promise<{ rowCount: number | null }> }): Promise<void> {
  const deadline = performance.now() + 5000
  for (;;) {
    const { rowCount } = await client.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 72707369 AND NOT granted`)
    if (rowCount === 1) return
    if (performance.now() > deadline) throw new Error('nobody waits for the lock')
  }
}
