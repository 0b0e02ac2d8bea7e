import assert from 'node:assert/strict'
import { settleCallbacks } from '../../../adapters/postgres/callback-leaving.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { LeaseUse } from '../../../adapters/postgres/lease-use.ts'
import type { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import type { CallbackEvent } from '../../../domain/callback-event.ts'
import { LeaseLostError, ObjectsMissingError } from '../../../domain/leasing/lease-errors.ts'
import type { LeaseEnding } from '../../../domain/leasing/lease-verdict.ts'
import { deliver, endLease, type LeaseRooms } from '../../../domain/leasing/use-lease.ts'
import { leaseRooms, putAgent, putLease } from './leased-callbacks.ts'
import { newStore } from './new-store.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const COMPLETE: LeaseEnding = { kind: 'complete', unstored: [] }
const GIVE_BACK = { kind: 'give_back', unstored: [], isCharged: false, retryAfterMs: 0 } as const

interface Row {
  readonly state: string
  readonly attempts: number
  readonly returns: number
  readonly unstored: { id: string; outcome: string; reason?: string }[] | null
  readonly is_free: boolean
  readonly is_finished: boolean
  readonly due_in_s: number
  readonly timeline: Record<string, unknown>[]
}

describe('LeaseUse.end', () => {
  let storage: TestStorage
  let store: ObjectStore
  let leases: LeaseUse
  let rooms: LeaseRooms
  let events: CallbackEvent[]
  let activity: string[]

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, agents, objects')
    const clock = new DatabaseClock()
    const database = storage.open()
    store = newStore(database, 30, clock).store
    leases = new LeaseUse({ prisma: database.prisma, clock, leaseSeconds: 30 })
    ;({ rooms, events, activity } = leaseRooms(leases, store))
  })

  after(() => storage.close())

  async function readRow(id: string): Promise<Row> {
    const [row] = await storage.query<Row>(
      `SELECT state, attempts, returns, unstored, finished_at IS NOT NULL AS is_finished, timeline,
         num_nulls(claim_token, claimed_by, agent_id, leased_at, lease_expires_at, delivered, wish) = 7 AS is_free,
         extract(epoch FROM due_at - clock_timestamp())::float8 AS due_in_s
       FROM callbacks WHERE id = $1`,
      [id],
    )
    assert.ok(row)
    return row
  }

  it('completes a callback when every object is delivered or named', async () => {
    const { id, key } = await putLease(storage, { objectIds: [1n, 2n, 3n] })
    await deliver(rooms, key, [{ id: 1n, online: true }])
    const unstored = [
      { id: 2n, outcome: 'not_found' },
      { id: 3n, outcome: 'failed', reason: 'http_400' },
    ] as const
    const { state } = await endLease(rooms, key, { kind: 'complete', unstored })
    const row = await readRow(id)
    assert.deepEqual([state, row.state, row.is_finished, row.is_free, row.attempts], ['completed', 'completed', true, true, 1])
    assert.deepEqual(row.unstored, [
      { id: '2', outcome: 'not_found' },
      { id: '3', outcome: 'failed', reason: 'http_400' },
    ])
  })

  it('tells who finished it, in its timeline and to all who listen', async () => {
    const { id, key } = await putLease(storage, { objectIds: [1n, 2n] })
    await deliver(rooms, key, [{ id: 1n, online: true }])
    await endLease(rooms, key, { kind: 'complete', unstored: [{ id: 2n, outcome: 'not_found' }] })
    const [entry, ...others] = (await readRow(id)).timeline
    assert.equal(others.length, 0)
    assert.deepEqual(
      [entry?.['event'], entry?.['agent'], entry?.['worker'], entry?.['state'], entry?.['attempt'], entry?.['counts']],
      ['attempt_ended', `agent ${key.agentId}`, undefined, 'completed', 1, { stored: 1, not_found: 1 }],
    )
    const [event] = events
    assert.ok(event?.event === 'settled' && event.id === id && event.state === 'completed' && event.objects === 2)
    assert.ok(event.workedMs >= 1000 && event.waitedMs > 50_000, `${event.workedMs} ms, ${event.waitedMs} ms`)
    assert.deepEqual(activity, ['seen', 'delivered 1', 'seen', 'finished'])
  })

  it('does not finish while an object has no outcome, and keeps the lease', async () => {
    const { id, key } = await putLease(storage)
    await assert.rejects(endLease(rooms, key, COMPLETE), new ObjectsMissingError([1n, 2n]))
    assert.deepEqual([(await readRow(id)).state, events], ['running', []])
  })

  it('says of a second finish that the lease is over, and changes nothing', async () => {
    const { id, key } = await putLease(storage, { objectIds: [] })
    await endLease(rooms, key, COMPLETE)
    const row = await readRow(id)
    await assert.rejects(endLease(rooms, key, { kind: 'fail', unstored: [], reason: 'http_500' }), LeaseLostError)
    assert.deepEqual({ ...(await readRow(id)), due_in_s: 0 }, { ...row, due_in_s: 0 })
  })

  it('lets one of two finishes at once win', async () => {
    const { key } = await putLease(storage, { objectIds: [] })
    const both = await Promise.allSettled([
      endLease(rooms, key, COMPLETE),
      endLease(rooms, key, { kind: 'fail', unstored: [], reason: 'http_500' }),
    ])
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
    assert.equal(events.length, 1)
  })

  it('makes the verdict again if an object is delivered while it is made', async () => {
    const { id, key } = await putLease(storage)
    let deliveries = 0
    const { rooms: busy } = leaseRooms(leases, store, {
      leases: {
        read: (...args) => leases.read(...args),
        mark: (...args) => leases.mark(...args),
        end: async (held, verdict) => {
          deliveries += 1
          if (deliveries === 1) await deliver(rooms, key, [{ id: 1n, online: true }])
          return leases.end(held, verdict)
        },
      },
    })
    const { state } = await endLease(busy, key, { kind: 'complete', unstored: [1n, 2n].map(each => ({ id: each, outcome: 'not_found' })) })
    assert.deepEqual([state, deliveries, (await readRow(id)).unstored], ['completed', 2, [{ id: '2', outcome: 'not_found' }]])
  })

  it('keeps what was delivered when the callback goes back, and does not charge it', async () => {
    const { id, key } = await putLease(storage, { objectIds: [1n, 2n], attempts: 2, returns: 2 })
    await deliver(rooms, key, [{ id: 1n, online: true }])
    const { state } = await endLease(rooms, key, GIVE_BACK)
    const row = await readRow(id)
    assert.deepEqual([state, row.state, row.attempts, row.returns, row.is_free], ['pending', 'pending', 1, 0, true])
    assert.deepEqual(row.unstored, [{ id: '2', outcome: 'pending', reason: 'given_back' }])
    assert.ok(row.due_in_s <= 0, `due in ${row.due_in_s} s`)
    assert.equal(row.timeline[0]?.['event'], 'given_back')
  })

  it('waits as long as the agent says', async () => {
    const { id, key } = await putLease(storage)
    await endLease(rooms, key, { ...GIVE_BACK, retryAfterMs: 60_000 })
    const { due_in_s: dueInS } = await readRow(id)
    assert.ok(dueInS > 55 && dueInS <= 60, `due in ${dueInS} s`)
  })

  it('lets a callback wait longer after each lease that brought nothing, from the fourth on', async () => {
    for (const [returns, least, most] of [
      [0, -100, 0],
      [2, -100, 0],
      [3, 0, 1],
      [6, 6, 8],
      [500, 290, 300],
    ] as const) {
      const { id, key } = await putLease(storage, { returns })
      await endLease(rooms, key, GIVE_BACK)
      const row = await readRow(id)
      assert.equal(row.returns, returns + 1)
      assert.ok(row.due_in_s > least && row.due_in_s <= most, `after ${returns + 1}: due in ${row.due_in_s} s`)
    }
  })

  it('charges a lease if the agent says so, and fails the callback when its attempts are used up', async () => {
    const ending: LeaseEnding = { ...GIVE_BACK, isCharged: true, unstored: [{ id: 1n, outcome: 'pending', reason: 'http_503' }] }
    const second = await putLease(storage, { objectIds: [1n], attempts: 2 })
    assert.equal((await endLease(rooms, second.key, ending)).state, 'pending')
    const row = await readRow(second.id)
    assert.deepEqual([row.attempts, row.returns], [2, 0])
    assert.ok(row.due_in_s > 9 && row.due_in_s <= 10, `due in ${row.due_in_s} s`)
    const third = await putLease(storage, { objectIds: [1n], attempts: 3 })
    assert.equal((await endLease(rooms, third.key, ending)).state, 'failed')
    assert.deepEqual((await readRow(third.id)).unstored, [{ id: '1', outcome: 'failed', reason: 'http_503' }])
  })

  it('does what somebody wished meanwhile when the callback goes back, but not when it is finished', async () => {
    for (const [wish, given, finished] of [
      ['pause', 'paused', 'completed'],
      ['cancel', 'cancelled', 'completed'],
    ] as const) {
      const [back, done] = [await putLease(storage, { wish, objectIds: [1n] }), await putLease(storage, { wish, objectIds: [] })]
      assert.equal((await endLease(rooms, back.key, GIVE_BACK)).state, given)
      assert.equal((await endLease(rooms, done.key, COMPLETE)).state, finished)
      assert.deepEqual([(await readRow(back.id)).is_free, (await readRow(back.id)).returns], [true, 0])
    }
  })

  it('counts objects that are offline as such where only online ones are kept', async () => {
    const { id, key } = await putLease(storage, { objectIds: [1n, 2n] })
    const { rooms: strict } = leaseRooms(leases, store, { keepsOffline: () => false })
    await deliver(strict, key, [
      { id: 1n, online: false },
      { id: 2n, online: true },
    ])
    assert.equal((await endLease(strict, key, COMPLETE)).state, 'completed')
    const row = await readRow(id)
    assert.deepEqual(row.unstored, [{ id: '1', outcome: 'offline' }])
    assert.deepEqual(row.timeline[0]?.['counts'], { stored: 1, offline: 1 })
  })

  it('completes a callback whose objects expired before its agent finished', async () => {
    const { key } = await putLease(storage)
    await deliver(
      rooms,
      key,
      [1n, 2n].map(id => ({ id, online: true })),
    )
    await storage.query('DELETE FROM objects')
    assert.equal((await endLease(rooms, key, COMPLETE)).state, 'completed')
  })

  it('does not end the lease of another agent', async () => {
    const { id, key } = await putLease(storage, { objectIds: [] })
    await assert.rejects(endLease(rooms, { ...key, agentId: await putAgent(storage) }, COMPLETE), LeaseLostError)
    assert.equal((await readRow(id)).state, 'running')
  })

  it('keeps the place of a callback that a worker gives back uncharged', async () => {
    const { id, key } = await putLease(storage, { returns: 9 })
    await storage.query('UPDATE callbacks SET agent_id = NULL, claimed_by = 1')
    const { callback } = await heldOfWorker(key.token, id)
    const verdict = { state: 'pending', unstored: [], delayMs: 0, isCharged: false } as const
    await settleCallbacks(storage.open().prisma, [{ callback, verdict, workerNumber: 1 }], Date.now())
    const row = await readRow(id)
    assert.ok(row.due_in_s <= 0 && row.returns === 0, `due in ${row.due_in_s} s, ${row.returns} returns`)
  })

  /** A claim of a worker, in the form of a lease: both are settled by one statement. */
  async function heldOfWorker(token: string, id: string) {
    const { key } = await putLease(storage)
    const held = await leases.read(key)
    assert.ok(held)
    return { ...held, callback: { ...held.callback, id, token } }
  }
})
