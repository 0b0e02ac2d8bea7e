import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { PostgresServer } from '../../../../../test/support/postgres-server.ts'
import type { Database } from '../../../adapters/postgres/database.ts'
import { durabilityCheck } from '../../../adapters/postgres/durability.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

/** The servers of the tests have fsync off. */
describe('durability', () => {
  let storage: TestStorage

  beforeEach(async () => {
    storage = await openTestStorage()
  })

  afterEach(() => storage.close())

  const throwAway = (): Promise<unknown> =>
    storage.query(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET answerback.durability = none', current_database()); END $$`)
  const acceptOn = (database: Database): Promise<number> =>
    database.prisma.$executeRaw`INSERT INTO callbacks (id, object_ids) VALUES (gen_random_uuid(), '{}')`
  const start = async (url: string): Promise<void> => durabilityCheck(url).start?.()

  it('none is refused by each connection to a database that does not say that nothing is kept, before it stores anything', async () => {
    await storage.query(`INSERT INTO callbacks (id, object_ids) VALUES (gen_random_uuid(), '{}')`)
    await assert.rejects(acceptOn(storage.open({ durability: 'none' })), /may hold callbacks of a service that keeps them/)
    assert.equal((await storage.query('SELECT FROM callbacks')).length, 1)
  })

  it('none is refused at the start', async () => {
    await assert.rejects(start(storage.url), { code: 'wrong_durability', message: /may hold callbacks of a service that keeps them/ })
  })

  it('none is taken by a database that says so, also when it holds callbacks, as after a restart', async () => {
    await throwAway()
    await start(storage.url)
    await acceptOn(storage.open({ durability: 'none' }))
    await start(storage.url)
    await acceptOn(storage.open({ durability: 'none' }))
  })

  it('none is refused by a connection that comes after the database has changed its mind', async () => {
    await throwAway()
    const database = storage.open({ durability: 'none', maxConnections: 1 })
    await acceptOn(database)
    await storage.query(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET answerback.durability', current_database()); END $$`)
    await storage.terminateOthers()
    await assert.rejects(acceptOn(database))
    await assert.rejects(acceptOn(database), /may hold callbacks of a service that keeps them/)
  })

  it('none is refused if the service itself says that nothing in the database is kept, by its address or its environment', async () => {
    const url = new URL(storage.url)
    url.searchParams.append('options', '-c AnswerBack.durability=none')
    await assert.rejects(start(url.href), { code: 'wrong_durability', message: /only the server itself can say that/ })
    await assert.rejects(acceptOn(storage.open({ url: url.href, durability: 'none' })), /only the server itself can say that/)
    process.env['PGOPTIONS'] = '-c answerback.durability=none'
    try {
      await assert.rejects(start(storage.url), { code: 'wrong_durability' })
    } finally {
      delete process.env['PGOPTIONS']
    }
  })

  it('none is refused by a server that flushes its commits', async () => {
    const server = await PostgresServer.start()
    try {
      const url = await server.createDatabase('kept')
      const kept = storage.open({ url })
      await kept.prisma.$executeRawUnsafe(`ALTER DATABASE kept SET answerback.durability = 'none'`)
      await kept.stop()
      await assert.rejects(start(url), { code: 'wrong_durability', message: /keeps what is committed, because its fsync is on/ })
    } finally {
      await server.remove()
    }
  })

  it('full is refused by each connection to a database that says that nothing is kept', async () => {
    await throwAway()
    await assert.rejects(acceptOn(storage.open({ durability: 'full' })), /says that nothing in it is kept/)
    assert.deepEqual(await storage.query('SELECT FROM callbacks'), [])
  })

  it('does not hold up a start while the database is away or silent', async () => {
    const silent = createServer(socket => socket.resume()).listen(0, '127.0.0.1')
    await new Promise(resolve => silent.once('listening', resolve))
    const { port } = silent.address() as { port: number }
    await start(`postgresql://u:p@127.0.0.1:${port}/d`)
    await new Promise(resolve => silent.close(resolve))
    await start(`postgresql://u:p@127.0.0.1:${port}/d`)
  })
})
