import assert from 'node:assert/strict'
import { readMigrations } from '#prisma/migrate.ts'
import { withClient } from '../../../../../test/support/database.ts'
import { PostgresServer } from '../../../../../test/support/postgres-server.ts'
import { TcpProxy } from '../../../../../test/support/tcp-proxy.ts'
import { storageProbe } from '../../../adapters/postgres/schema.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('storageProbe', () => {
  let storage: TestStorage

  afterEach(() => storage.close())

  it('accepts a migrated database', async () => {
    storage = await openTestStorage()
    const probe = storageProbe(storage.open())
    await probe()
    await probe()
  })

  it('says of an empty database that it is not migrated, and what to do', async () => {
    storage = await openTestStorage({ isEmpty: true })
    await assert.rejects(storageProbe(storage.open())(), { code: 'storage_unavailable', message: /not migrated.*make migrate/ })
  })

  it('names the missing migrations, finds them when they are applied, and does not check again', async () => {
    storage = await openTestStorage()
    const [last] = (await readMigrations()).slice(-1)
    const probe = storageProbe(storage.open())
    await storage.query('ALTER TABLE _prisma_migrations RENAME TO hidden')
    await storage.query(`CREATE VIEW _prisma_migrations AS SELECT * FROM hidden WHERE NOT EXISTS (SELECT FROM callbacks)`)
    await storage.query(`INSERT INTO callbacks (id, object_ids) VALUES (gen_random_uuid(), '{}')`)
    await assert.rejects(probe(), { message: new RegExp(`not migrated: .*${last?.name} missing; run \`make migrate\``) })
    await storage.query('DELETE FROM callbacks')
    await probe()
    await storage.query('DROP VIEW _prisma_migrations')
    await probe()
  })

  it('counts neither a migration that was rolled back nor one that was left unfinished', async () => {
    storage = await openTestStorage()
    const database = storage.open()
    await storage.query('UPDATE _prisma_migrations SET rolled_back_at = now()')
    await assert.rejects(storageProbe(database)(), { message: /not migrated/ })
    await storage.query('UPDATE _prisma_migrations SET rolled_back_at = NULL, finished_at = NULL')
    await assert.rejects(storageProbe(database)(), { message: /not migrated/ })
  })

  it('reports a read-only database and a standby', async () => {
    storage = await openTestStorage()
    const database = storage.open()
    await storageProbe(database)()
    await storage.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`,
    )
    await assert.rejects(storageProbe(storage.open())(), {
      code: 'storage_unavailable',
      message: /is read-only \(default_transaction_read_only/,
    })
    await storage.query(
      'SET default_transaction_read_only = off; CREATE FUNCTION pg_is_in_recovery() RETURNS bool LANGUAGE sql AS $$ SELECT true $$',
    )
    const standby = new URL(storage.url)
    standby.searchParams.set('options', '-c search_path=public,pg_catalog')
    await assert.rejects(storageProbe(storage.open({ url: standby.href }))(), { message: /read-only: it is a standby/ })
  })

  it('reports why it cannot commit if it should, and leaves no row', async () => {
    storage = await openTestStorage()
    const probe = storageProbe(storage.open({ queryTimeoutMs: 300 }))
    await probe(true)
    assert.deepEqual(await storage.query('SELECT FROM callbacks'), [])
    await withClient(storage.url, async other => {
      await other.query('BEGIN; LOCK TABLE callbacks IN SHARE MODE')
      await assert.rejects(probe(true), { message: /did not answer in time|statement timeout/ })
      await probe()
    })
    await probe(true)
  })

  it('reports a pooler that drops our settings', async () => {
    storage = await openTestStorage()
    const database = storage.open({ maxConnections: 1 })
    const probe = storageProbe(database)
    assert.equal((await probe()).settings, undefined)
    await database.prisma.$queryRaw`SELECT set_config('statement_timeout', '0', false)`
    assert.match((await probe()).settings ?? '', /statement_timeout 0 for us, not 5000ms/)
  })

  it('warns of a server that flushes no commit, and of no other', async () => {
    storage = await openTestStorage()
    assert.match((await storageProbe(storage.open())()).durability ?? '', /fsync off.* loses callbacks that were answered with 202/)
    const flushing = await PostgresServer.start()
    try {
      const database = storage.open({ url: await flushing.createDatabase('flushed') })
      assert.equal((await storageProbe(database)()).durability, undefined)
      await database.stop()
    } finally {
      await flushing.remove()
    }
  })

  it('reports that the database is away, before and after it has checked the schema', async () => {
    storage = await openTestStorage()
    const proxy = new TcpProxy(storage.url)
    await proxy.start()
    try {
      const probe = storageProbe(storage.open({ url: proxy.url }))
      proxy.refuse()
      await assert.rejects(probe(), StorageUnavailableError)
      proxy.forward()
      await probe()
      proxy.refuse()
      await assert.rejects(probe(), StorageUnavailableError)
      proxy.forward()
      await probe()
    } finally {
      await proxy.stop()
    }
  })
})
