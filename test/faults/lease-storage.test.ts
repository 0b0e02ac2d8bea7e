import assert from 'node:assert/strict'
import { range } from '../support/callbacks.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { type Lease, Plant } from '../support/plant.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { ServiceProcess } from '../support/service-process.ts'
import { giveSteppingClock } from '../support/stepping-clock.ts'

describe('leases, while something happens to the database', function () {
  this.timeout(60_000)

  /** Starts a replica whose leases last as long as in production. */
  const start = async (databaseUrl: string): Promise<ServiceProcess> => {
    const service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: databaseUrl,
      CLIENT_SERVICE_URL: 'http://127.0.0.1:9',
      ZIPKIN_URL: '',
    })
    return service.ready()
  }

  describe('it is killed and comes back', () => {
    let server: PostgresServer
    let service: ServiceProcess

    before(async () => {
      server = await PostgresServer.start()
      service = await start(await server.createDatabase('answerback'))
    })

    after(async () => {
      await service.stop()
      await server.remove()
    })

    it('leases live on, what was delivered stays, and what is delivered meanwhile gets 503', async () => {
      const plant = await Plant.open(service.url)
      const { id: agent } = await plant.newAgent('first')
      const id = await plant.accept(range(1, 20))
      const lease = await plant.lease(agent)
      assert.equal((await plant.deliver(lease, range(1, 10))).status, 200)
      await server.kill()
      const refused = await plant.deliver(lease, range(11, 10))
      assert.equal(refused.status, 503, refused.text)
      assert.ok(refused.headers.has('retry-after'))
      await server.resume()
      await until(async () => (await plant.deliver(lease, range(11, 10))).status === 200)
      assert.equal((await plant.patch(lease, { state: 'completed' })).status, 200)
      const { state, attempts, objects } = await plant.callback(id)
      assert.deepEqual([state, attempts, objects.filter(({ outcome }) => outcome === 'stored').length], ['completed', 1, 20])
    })
  })

  for (const byMs of [3_600_000, -3_600_000]) {
    describe(`its clock steps by ${byMs / 1000} s`, () => {
      let database: TestDatabase
      let clock: { step(byMs: number): Promise<void> }
      let service: ServiceProcess

      before(async () => {
        database = await createTestDatabase()
        clock = await giveSteppingClock(database.url)
        service = await start(database.url)
      })

      after(async () => {
        await service.stop()
        await database.drop()
      })

      it('leases end uncharged, keep what was delivered, and their callbacks are leased again at once', async () => {
        const plant = await Plant.open(service.url)
        const { id: agent } = await plant.newAgent('first')
        const id = await plant.accept([1, 2])
        const lost = await plant.lease(agent)
        assert.equal((await plant.deliver(lost, [1])).status, 200)
        await noticed(() => clock.step(byMs))
        assert.deepEqual(await codes(plant, lost), ['lease_lost', 'lease_lost'])
        const lease = await plant.lease(agent)
        assert.deepEqual([lease.object_ids, lease.attempt], [[2], 1])
        assert.deepEqual(await codes(plant, lost), ['lease_lost', 'lease_lost'])
        assert.equal((await plant.deliver(lease, [2], true)).status, 200)
        assert.equal((await plant.patch(lease, { state: 'completed' })).status, 200)
        const { state, attempts } = await plant.callback(id)
        assert.deepEqual([state, attempts], ['completed', 1])
        const { rows } = await withClient(database.url, db => db.query('SELECT id::int, online FROM objects ORDER BY id'))
        assert.deepEqual(rows, [
          { id: 1, online: true },
          { id: 2, online: true },
        ])
      })

      /** Steps the clock. Resolves when the replica has noticed, which ends its leases. */
      const noticed = async (step: () => Promise<void>): Promise<void> => {
        const count = async (): Promise<number> => (await withClient(database.url, db => db.query('SELECT FROM clock_steps'))).rowCount ?? 0
        const before = await count()
        await step()
        await until(async () => (await count()) > before)
      }

      it('what is leased after the step replaces what was stored before it', async () => {
        const plant = new Plant(service.url)
        const { id: agent } = await plant.newAgent('second')
        const callbacks = []
        for (const isAfter of [false, true]) {
          callbacks.push(await plant.accept([7]))
          if (isAfter) await noticed(() => clock.step(-byMs))
          const lease = await plant.lease(agent)
          assert.equal((await plant.deliver(lease, [7])).status, 200)
          assert.equal((await plant.patch(lease, { state: 'completed' })).status, 200)
        }
        const { rows } = await withClient(database.url, db => db.query('SELECT callback_id FROM objects WHERE id = 7'))
        assert.deepEqual(rows, [{ callback_id: callbacks[1] }])
      })
    })
  }
})

/** Uses a lease in two ways. @returns the codes of the answers */
async function codes(plant: Plant, lease: Lease): Promise<(string | undefined)[]> {
  return [(await plant.deliver(lease, [2], false)).code, (await plant.patch(lease, { state: 'completed' })).code]
}
