import assert from 'node:assert/strict'
import { readMigrations } from '#prisma/migrate.ts'
import { TcpProxy } from '../../../../test/support/tcp-proxy.ts'
import { storageProbe } from '../../adapters/schema.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('storageProbe', () => {
  let storage: TestStorage

  afterEach(() => storage.close())

  it('is content with a migrated database', async () => {
    storage = await openTestStorage()
    const probe = storageProbe(storage.open().prisma)
    await probe()
    await probe()
  })

  it('says of an empty database that it is not migrated, and what to do', async () => {
    storage = await openTestStorage({ isEmpty: true })
    await assert.rejects(storageProbe(storage.open().prisma)(), { code: 'storage_unavailable', message: /not migrated.*make migrate/ })
  })

  it('names the migrations that are missing, finds them when they come, and does not ask for them again', async () => {
    storage = await openTestStorage()
    const [last] = (await readMigrations()).slice(-1)
    const probe = storageProbe(storage.open().prisma)
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
    const { prisma } = storage.open()
    await storage.query('UPDATE _prisma_migrations SET rolled_back_at = now()')
    await assert.rejects(storageProbe(prisma)(), { message: /not migrated/ })
    await storage.query('UPDATE _prisma_migrations SET rolled_back_at = NULL, finished_at = NULL')
    await assert.rejects(storageProbe(prisma)(), { message: /not migrated/ })
  })

  it('says so while the database is away, before and after it has seen the schema', async () => {
    storage = await openTestStorage()
    const proxy = new TcpProxy(storage.url)
    await proxy.start()
    try {
      const probe = storageProbe(storage.open({ url: proxy.url }).prisma)
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
