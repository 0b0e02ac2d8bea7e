import assert from 'node:assert/strict'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { endLeases } from '../../../adapters/postgres/lease-expiry.ts'
import { readLeases } from '../../../adapters/postgres/lease-reader.ts'
import { LeaseUse } from '../../../adapters/postgres/lease-use.ts'
import type { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import { LeaseLostError, NotWantedError } from '../../../domain/leasing/lease-errors.ts'
import { deliver, type LeaseRooms, renewLease } from '../../../domain/leasing/use-lease.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { leaseAgain, leaseRooms, putAgent, putLease } from './leased-callbacks.ts'
import { newStore } from './new-store.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const BIG = 9007199254740993n
const online = (...ids: bigint[]) => ids.map(id => ({ id, online: true }))

interface LeaseRow {
  readonly delivered: string[] | null
  readonly unstored: { id: string; outcome: string }[] | null
  readonly expires_in_ms: number
}

describe('LeaseUse', () => {
  let storage: TestStorage
  let store: ObjectStore
  let leases: LeaseUse
  let rooms: LeaseRooms
  let activity: string[]

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, agents, objects')
    const clock = new DatabaseClock()
    const database = storage.open({ maxConnections: 4 })
    store = newStore(database, 30, clock).store
    leases = new LeaseUse({ prisma: database.prisma, clock, leaseSeconds: 30 })
    ;({ rooms, activity } = leaseRooms(leases, store))
  })

  after(() => storage.close())

  async function readLease(id: string): Promise<LeaseRow> {
    const [row] = await storage.query<LeaseRow>(
      `SELECT delivered::text[], unstored, extract(epoch FROM lease_expires_at - clock_timestamp())::float8 * 1000 AS expires_in_ms
       FROM callbacks WHERE id = $1`,
      [id],
    )
    assert.ok(row)
    return row
  }

  const stored = async (): Promise<string[]> => {
    const rows = await storage.query<{ id: string; online: boolean }>('SELECT id::text, online FROM objects ORDER BY id')
    return rows.map(({ id, online: isOnline }) => `${id} ${isOnline ? 'online' : 'offline'}`)
  }

  describe('reading', () => {
    it('finds a live lease with what is still wanted, and with exact ids', async () => {
      const { id, key } = await putLease(storage, { objectIds: [1n, BIG, -(2n ** 63n)] })
      await storage.query('UPDATE callbacks SET delivered = ARRAY[1]::bigint[]')
      const held = await leases.read(key)
      assert.deepEqual([held?.lease.callbackId, held?.lease.objectIds], [id, [BIG, -(2n ** 63n)]])
      assert.deepEqual(held?.callback.missingIds, [1n, BIG, -(2n ** 63n)])
    })

    it('finds no lease that is over, or not given yet by the clock of the database', async () => {
      for (const options of [{ expiresInMs: -1 }, { leasedAgoMs: -5000 }]) {
        const { key } = await putLease(storage, options)
        assert.equal(await leases.read(key), undefined)
      }
    })

    it('finds no lease with the key of another agent, or of another workspace', async () => {
      const { key } = await putLease(storage)
      const other = await putAgent(storage)
      assert.equal(await leases.read({ ...key, agentId: other }), undefined)
      assert.equal(await leases.read({ ...key, workspace: 'shop' }), undefined)
    })

    it('renews no lease for another agent or workspace whose request comes together with its own', async () => {
      const { id, key } = await putLease(storage, { expiresInMs: 10_000 })
      const other = await putAgent(storage)
      const strangers = [
        { ...key, agentId: other },
        { ...key, workspace: 'shop' },
      ]
      const { prisma } = storage.open()
      const ask = (renewSeconds?: number) =>
        readLeases(prisma, new DatabaseClock(), [
          renewSeconds === undefined ? { key } : { key, renewSeconds },
          ...strangers.map(stranger => ({ key: stranger, renewSeconds: 300 })),
        ])
      const [held, ...none] = await ask()
      assert.deepEqual([held?.callback.id, none], [id, [undefined, undefined]])
      assert.ok((await readLease(id)).expires_in_ms <= 10_000)
      await ask(30)
      const { expires_in_ms: expiresInMs } = await readLease(id)
      assert.ok(expiresInMs > 20_000 && expiresInMs <= 30_000, `${expiresInMs} ms`)
    })

    it('finds the lease of any agent for a caller that may use all', async () => {
      const { key } = await putLease(storage)
      assert.ok(await leases.read({ ...key, agentId: undefined }))
    })

    it('never takes the claim of a worker for a lease', async () => {
      const { id, key } = await putLease(storage)
      await storage.query('UPDATE callbacks SET agent_id = NULL, claimed_by = 1 WHERE id = $1', [id])
      assert.equal(await leases.read({ ...key, agentId: undefined }), undefined)
    })

    it('reads the leases of all requests that come together', async () => {
      const agentId = await putAgent(storage)
      const given = await Promise.all(Array.from({ length: 50 }, () => putLease(storage, { agentId })))
      const held = await Promise.all(given.map(({ key }) => leases.read(key)))
      assert.deepEqual(
        held.map(each => each?.callback.id),
        given.map(({ id }) => id),
      )
    })

    it('finds no lease that was given before the clock of the database stepped', async () => {
      const clock = new DatabaseClock()
      const { key } = await putLease(storage)
      clock.observe(Date.now() - 3_600_000, performance.now())
      const after = new LeaseUse({ prisma: storage.open().prisma, clock, leaseSeconds: 30 })
      assert.equal(await after.read(key), undefined)
    })
  })

  describe('renewing', () => {
    it('ends a lease that was given before the clock of the database stepped, because its agent has lost it', async () => {
      const clock = new DatabaseClock()
      const { prisma } = storage.open()
      const { id, key } = await putLease(storage, { expiresInMs: 300_000 })
      clock.observe(Date.now() - 3_600_000, performance.now())
      const { rooms: after } = leaseRooms(new LeaseUse({ prisma, clock, leaseSeconds: 30 }), store)
      await assert.rejects(renewLease(after, key, 300), LeaseLostError)
      assert.deepEqual(
        (await endLeases(prisma, 10)).map(({ callbackId, state }) => [callbackId, state]),
        [[id, 'pending']],
      )
    })

    it('makes a lease last as long as each use gives', async () => {
      const { id, key } = await putLease(storage, { expiresInMs: 2000 })
      const { lease } = await renewLease(rooms, key, 30)
      assert.ok(lease.expiresInMs > 29_000 && lease.expiresInMs <= 30_000, `${lease.expiresInMs} ms`)
      assert.ok((await readLease(id)).expires_in_ms > 28_000)
    })

    it('never makes a lease shorter', async () => {
      const { key } = await putLease(storage)
      await renewLease(rooms, key, 300)
      const { lease } = await renewLease(rooms, key, 1)
      assert.ok(lease.expiresInMs > 298_000, `${lease.expiresInMs} ms`)
    })

    it('does not renew what another agent asks for', async () => {
      const { id, key } = await putLease(storage, { expiresInMs: 5000 })
      const stranger = { ...key, agentId: await putAgent(storage) }
      const both = await Promise.allSettled([renewLease(rooms, stranger, 300), renewLease(rooms, key, 10)])
      assert.deepEqual(
        both.map(({ status }) => status),
        ['rejected', 'fulfilled'],
      )
      const { expires_in_ms: expiresInMs } = await readLease(id)
      assert.ok(expiresInMs > 8000 && expiresInMs <= 10_000, `${expiresInMs} ms`)
    })
  })

  describe('delivering', () => {
    it('stores objects with the moment of the lease, notes them, and renews the lease', async () => {
      const { id, key } = await putLease(storage, { objectIds: [1n, BIG, 3n], expiresInMs: 2000 })
      const { stored: count, wanted, expiresAt } = await deliver(rooms, key, [...online(1n, BIG)])
      assert.deepEqual([count, wanted], [2, 1])
      assert.ok(expiresAt.getTime() - Date.now() > 25_000)
      assert.deepEqual((await readLease(id)).delivered?.toSorted(), ['1', String(BIG)])
      const [row] = await storage.query(
        `SELECT bool_and(o.fetched_at = c.leased_at AND o.callback_id = c.id AND o.stored_at > c.leased_at) AS is_right, count(*)::int
         FROM objects o, callbacks c`,
      )
      assert.deepEqual(row, { is_right: true, count: 2 })
      assert.deepEqual(activity, ['seen', 'delivered 2'])
    })

    it('never makes a lease shorter', async () => {
      const { id, key } = await putLease(storage, { expiresInMs: 300_000 })
      await deliver(rooms, key, online(1n))
      assert.ok((await readLease(id)).expires_in_ms > 290_000)
    })

    it('skips what came before, also twice at once, and also in another state', async () => {
      const { id, key } = await putLease(storage)
      const both = await Promise.all([deliver(rooms, key, online(1n)), deliver(rooms, key, online(1n))])
      assert.deepEqual(
        both.map(({ wanted }) => wanted),
        [1, 1],
      )
      const again = await deliver(rooms, key, [{ id: 1n, online: false }, ...online(2n)])
      assert.deepEqual([again.stored, again.wanted], [1, 0])
      assert.deepEqual((await readLease(id)).delivered?.toSorted(), ['1', '2'])
      assert.deepEqual(await stored(), ['1 online', '2 online'])
    })

    it('stores nothing if one object was not asked for', async () => {
      const { id, key } = await putLease(storage)
      await assert.rejects(deliver(rooms, key, online(1n, 99n)), new NotWantedError([99n]))
      assert.deepEqual([await stored(), (await readLease(id)).delivered], [[], null])
    })

    it('does not ask for objects that have their outcome since an earlier attempt', async () => {
      const { key } = await putLease(storage, {
        unstored: [
          { id: '1', outcome: 'not_found' },
          { id: '2', outcome: 'pending' },
        ],
      })
      await assert.rejects(deliver(rooms, key, online(1n)), NotWantedError)
      assert.equal((await deliver(rooms, key, online(2n))).wanted, 0)
    })

    it('does not overwrite the objects of a newer lease, and changes nothing of it', async () => {
      const { id, key } = await putLease(storage)
      const [hasRead, mayStore] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const { rooms: zombie } = leaseRooms(leases, store, {
        store: async (object, callback) => {
          hasRead.resolve()
          await mayStore.promise
          await store.upsert(object, callback)
        },
      })
      const late = assert.rejects(deliver(zombie, key, [{ id: 1n, online: false }, ...online(2n)]), LeaseLostError)
      await hasRead.promise
      const newer = await leaseAgain(storage, id, await putAgent(storage))
      await deliver(rooms, newer, online(1n))
      mayStore.resolve()
      await late
      assert.deepEqual(await stored(), ['1 online', '2 online'])
      assert.deepEqual((await readLease(id)).delivered, ['1'])
    })

    it('notes nothing if the lease ends while the objects are stored', async () => {
      const { id, key } = await putLease(storage)
      const { rooms: slow } = leaseRooms(leases, store, {
        store: async (object, callback) => {
          await store.upsert(object, callback)
          await storage.query(`UPDATE callbacks SET lease_expires_at = clock_timestamp() - interval '1 ms'`)
        },
      })
      await assert.rejects(deliver(slow, key, online(1n)), LeaseLostError)
      assert.deepEqual([(await readLease(id)).delivered, await stored()], [null, ['1 online']])
    })

    it('notes nothing before all objects are stored', async () => {
      const { id, key } = await putLease(storage, { objectIds: [1n, 2n] })
      const { rooms: failing } = leaseRooms(leases, store, {
        store: async (object, callback) => {
          if (object.id === 2n) throw new StorageUnavailableError('the disk is full')
          await store.upsert(object, callback)
        },
      })
      await assert.rejects(deliver(failing, key, online(1n, 2n)), StorageUnavailableError)
      assert.deepEqual([(await readLease(id)).delivered, await stored()], [null, ['1 online']])
      assert.equal((await deliver(rooms, key, online(1n, 2n))).wanted, 0)
    })

    it('gives objects that are offline their outcome where only online ones are kept', async () => {
      const { id, key } = await putLease(storage, { objectIds: [1n, 2n, 3n] })
      const { rooms: strict } = leaseRooms(leases, store, { keepsOffline: () => false })
      await Promise.all([1n, 2n].map(each => deliver(strict, key, [{ id: each, online: false }])))
      const { unstored, delivered } = await readLease(id)
      assert.deepEqual(unstored, [
        { id: '1', outcome: 'offline' },
        { id: '2', outcome: 'offline' },
        { id: '3', outcome: 'pending' },
      ])
      assert.deepEqual(delivered?.toSorted(), ['1', '2'])
      const again = await deliver(strict, key, [{ id: 1n, online: false }, ...online(3n)])
      assert.deepEqual([again.stored, again.wanted], [1, 0])
    })

    it('takes 1,000 objects of 1,000 requests that come together, and notes each once', async () => {
      const ids = Array.from({ length: 1000 }, (_, i) => BigInt(i))
      const { id, key } = await putLease(storage, { objectIds: ids })
      const answers = await Promise.all(ids.map(each => deliver(rooms, key, online(each))))
      assert.equal(Math.min(...answers.map(({ wanted }) => wanted)), 0)
      const [row] = await storage.query(
        `SELECT cardinality(delivered) AS delivered, (SELECT count(*)::int FROM objects) AS stored FROM callbacks WHERE id = $1`,
        [id],
      )
      assert.deepEqual(row, { delivered: 1000, stored: 1000 })
    })
  })
})
