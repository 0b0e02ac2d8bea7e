import assert from 'node:assert/strict'
import { Settings } from '#foundation/config/settings.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import type { LeaseUses } from '../../api/leases/lease-use.ts'
import { schema } from '../../config.ts'
import { OverloadedError } from '../../domain/accepting/accept-errors.ts'
import type { CallbackEvent } from '../../domain/callback-event.ts'
import { LeaseLostError } from '../../domain/leasing/lease-errors.ts'
import { leaseUse } from '../../wiring/lease-use.ts'
import { leaseAgain, putAgent, putLease } from '../adapters/postgres/leased-callbacks.ts'
import { newStore } from '../adapters/postgres/new-store.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

const GIVE_BACK = { kind: 'give_back', unstored: [], isCharged: false, retryAfterMs: 0 } as const

describe('leaseUse', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, agents, objects'))

  after(() => storage.close())

  /** Joins the rooms of one replica. @param holds what each store waits for */
  function replica(holds: () => Promise<void> = async () => undefined) {
    const { current: config } = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url } })
    const [database, clock] = [storage.open(), new DatabaseClock()]
    const { store } = newStore(database, 30, clock)
    const arrived = new Signal<string>()
    const events = new Signal<CallbackEvent>()
    const heard: string[] = []
    arrived.on(workspace => heard.push(`arrived in ${workspace}`))
    events.on(event => heard.push(event.event))
    const uses: LeaseUses = leaseUse({
      config,
      database,
      clock,
      store: async (object, callback) => {
        await holds()
        await store.upsert(object, callback)
      },
      workspaces: onlyDefault,
      activity: { seen: () => undefined, delivered: () => undefined, finished: () => undefined, lapsed: () => undefined },
      arrived,
      events,
      logger,
    })
    return { uses, heard }
  }

  it('lets each replica serve a lease', async () => {
    const { key } = await putLease(storage)
    const [first, second] = [replica().uses, replica().uses]
    const answers = await Promise.all([first.deliver(key, [{ id: 1n, online: true }]), second.deliver(key, [{ id: 2n, online: true }])])
    assert.equal(Math.min(...answers.map(({ wanted }) => wanted)), 0)
    assert.deepEqual((await first.renew(key)).objectIds, [])
    assert.equal(await second.end(key, { kind: 'complete', unstored: [] }), 'completed')
    await assert.rejects(first.renew(key), LeaseLostError)
  })

  it('lets one replica finish what a zombie at another one can no longer change', async () => {
    const { id, key } = await putLease(storage)
    const [first, second] = [replica().uses, replica().uses]
    await first.deliver(key, [{ id: 1n, online: true }])
    const newer = await leaseAgain(storage, id, await putAgent(storage))
    await second.deliver(
      newer,
      [1n, 2n].map(each => ({ id: each, online: true })),
    )
    await Promise.all([
      assert.rejects(first.deliver(key, [{ id: 2n, online: false }]), LeaseLostError),
      assert.rejects(first.end(key, GIVE_BACK), LeaseLostError),
      assert.rejects(first.renew(key, 300), LeaseLostError),
    ])
    assert.equal(await second.end(newer, { kind: 'complete', unstored: [] }), 'completed')
  })

  it('says that a callback arrived when it goes back, and not when it is finished', async () => {
    const { uses, heard } = replica()
    await uses.end((await putLease(storage)).key, GIVE_BACK)
    await uses.end((await putLease(storage, { objectIds: [] })).key, { kind: 'complete', unstored: [] })
    assert.deepEqual(heard, ['settled', 'arrived in default', 'settled'])
  })

  it('refuses deliveries beyond what it can store soon, and takes them again later', async () => {
    const ids = Array.from({ length: 1000 }, (_, i) => ({ id: BigInt(i), online: true }))
    const { key } = await putLease(storage, { objectIds: ids.map(({ id }) => id) })
    const slow = Promise.withResolvers<void>()
    const { uses } = replica(() => slow.promise)
    const taken = Array.from({ length: 20 }, () => uses.deliver(key, ids))
    await assert.rejects(uses.deliver(key, [{ id: 1n, online: true }]), OverloadedError)
    slow.resolve()
    await Promise.all(taken)
    assert.equal((await uses.deliver(key, [{ id: 1n, online: true }])).wanted, 0)
  })
})
