import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { accept, finished, range, readMetrics } from '../support/callbacks.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { eventually, until } from '../support/eventually.ts'
import { ServiceProcess } from '../support/service-process.ts'
import { giveSteppingClock } from '../support/stepping-clock.ts'

const ANSWER_MS = 600
const TTL_MS = 3000

describe("a step of the database's clock", function () {
  this.timeout(120_000)
  let database: TestDatabase
  let db: pg.Client
  let clock: { step(byMs: number): Promise<void> }
  let clientService: Server
  let replicas: ServiceProcess[]
  let asked: number[]

  before(async () => {
    database = await createTestDatabase()
    clock = await giveSteppingClock(database.url)
    db = new pg.Client({ connectionString: database.url })
    await db.connect()
    clientService = createServer((request, response) => {
      const id = Number(request.url?.split('/').at(-1))
      asked.push(id)
      setTimeout(() => response.setHeader('content-type', 'application/json').end(JSON.stringify({ id, online: true })), ANSWER_MS)
    })
    await once(clientService.listen(0, '127.0.0.1'), 'listening')
    replicas = await Promise.all(range(0, 2).map(start))
  })

  beforeEach(async () => {
    asked = []
    await db.query('TRUNCATE callbacks, objects')
  })

  after(async () => {
    await Promise.all(replicas.map(replica => replica.stop()))
    clientService.close().closeAllConnections()
    await db.end()
    await database.drop()
  })

  const start = async (): Promise<ServiceProcess> => {
    const service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: database.url,
      CLIENT_SERVICE_URL: `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`,
      CLAIMS_LEASE_MS: '2000',
      EXPIRY_TTL_SECONDS: `${TTL_MS / 1000}`,
      ZIPKIN_URL: '',
    })
    return service.ready()
  }
  const [first, second] = [() => replicas[0] as ServiceProcess, () => replicas[1] as ServiceProcess]
  const takenOver = async (): Promise<number> => {
    const counts = await Promise.all(
      replicas.map(async ({ adminUrl }) => (await readMetrics(adminUrl)).total('callbacks_taken_over_total')),
    )
    return counts.reduce((sum, count) => sum + count, 0)
  }
  /** Steps the clock. Resolves when a replica has made up for the step. */
  const madeUpFor = async (byMs: number): Promise<void> => {
    const before = (await db.query('SELECT count(*)::int AS n FROM clock_steps')).rows[0].n
    await clock.step(byMs)
    await until(async () => (await db.query('SELECT count(*)::int AS n FROM clock_steps')).rows[0].n > before)
  }

  for (const byMs of [2000, -2000, 60_000, -60_000, 3_600_000, -3_600_000]) {
    describe(`by ${byMs / 1000} s`, () => {
      it('fails nothing, steals nothing, and charges nothing twice', async () => {
        const ids = await Promise.all(range(0, 80).map(i => accept(replicas[i % 2]?.url ?? '', [i, i + 1000])))
        await clock.step(byMs)
        const later = await Promise.all(range(0, 10).map(i => accept(replicas[i % 2]?.url ?? '', [i])))
        for (const id of [...ids, ...later]) {
          const { state, attempts } = await finished(first().url, id, 10_000)
          assert.deepEqual([state, attempts], ['completed', 1])
        }
        assert.equal(await takenOver(), 0)
      })

      it('deletes an object when it expires, neither before nor after', async () => {
        await finished(first().url, await accept(first().url, [7]))
        const stored = performance.now()
        await madeUpFor(byMs)
        while (performance.now() - stored < TTL_MS - 700) {
          assert.equal((await fetch(`${second().url}/v1/objects/7`)).status, 200, `${performance.now() - stored} ms old`)
          await sleep(10)
        }
        await until(async () => (await db.query('SELECT FROM objects')).rowCount === 0)
        assert.ok(performance.now() - stored < TTL_MS + 1000, `deleted after ${performance.now() - stored} ms`)
      })
    })
  }

  it('backwards: fetches again for a second event that came after the first fetch had left', async () => {
    await madeUpFor(-60_000)
    const one = await accept(first().url, [5])
    await eventually('the first has asked', () => asked.length === 1)
    const two = await accept(first().url, [5])
    for (const id of [one, two]) assert.equal((await finished(first().url, id)).state, 'completed')
    assert.equal(asked.length, 2)
  })

  it('backwards: stores the newer answer, although the older one is stored with a later time', async () => {
    await finished(first().url, await accept(first().url, [9]))
    await clock.step(-60_000)
    const id = await accept(second().url, [9])
    assert.equal((await finished(second().url, id)).state, 'completed')
    const { rows } = await db.query('SELECT callback_id FROM objects WHERE id = 9')
    assert.deepEqual(rows, [{ callback_id: id }])
  })

  it("does not take over if only the lease's time in the database has passed", async () => {
    const ids = await Promise.all(range(0, 80).map(i => accept(replicas[i % 2]?.url ?? '', [i])))
    await db.query(`UPDATE workers SET lease_expires_at = now() - interval '1 hour'`)
    for (const id of ids) {
      const { state, attempts } = await finished(first().url, id)
      assert.deepEqual([state, attempts], ['completed', 1])
    }
    assert.equal(await takenOver(), 0)
  })
})
