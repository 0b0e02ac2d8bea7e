import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../../../../test/support/eventually.ts'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { CallbackSteering } from '../../../adapters/postgres/callback-steering.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import type { CallbackState } from '../../../domain/callback.ts'
import type { ClaimedCallback, Verdict } from '../../../domain/processing/claimed-callback.ts'
import { cancelWithin } from '../../../domain/steering/cancellation.ts'
import { putCallback, upTo } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const BACK: Verdict = { state: 'pending', unstored: [{ id: 1n, outcome: 'pending', reason: 'timeout' }], delayMs: 60_000, isCharged: true }
const COMPLETED: Verdict = { state: 'completed', unstored: [] }

interface Row {
  readonly state: CallbackState
  readonly wish: string | null
  readonly priority: number
  readonly is_finished: boolean
  readonly is_steered: boolean
  readonly is_due: boolean
  readonly attempts: number
  readonly crashes: number
  readonly unstored: unknown
  readonly timeline: Record<string, unknown>[] | null
}

describe('CallbackSteering', () => {
  let storage: TestStorage
  let claims: CallbackClaims
  let steering: CallbackSteering

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks')
    const { prisma } = storage.open()
    claims = new CallbackClaims({ prisma, clock: new DatabaseClock(), maxCrashes: 6 })
    steering = new CallbackSteering(prisma)
  })

  after(() => storage.close())

  const key = (id: string) => ({ workspace: 'default', id })

  async function read(id: string): Promise<Row> {
    const [row] = await storage.query<Row>(
      `SELECT state, wish, priority, finished_at IS NOT NULL AS is_finished, steered_at IS NOT NULL AS is_steered, due_at <= clock_timestamp() AS is_due,
         attempts, crashes, unstored, timeline FROM callbacks WHERE id = $1`,
      [id],
    )
    assert.ok(row)
    return row
  }

  it('labels a callback that is not finished, and writes nothing if it has these labels', async () => {
    const [pending, finished] = [await putCallback(storage), await putCallback(storage, { finishedAgoMs: 1 })]
    const labelsOf = async (id: string) => (await storage.query('SELECT agent_labels FROM callbacks WHERE id = $1', [id]))[0]
    for (const agentLabels of [['eu', 'line:b'], ['eu', 'line:b'], [], [], null, null]) {
      assert.equal(await steering.change(key(pending), { agentLabels }), 'pending')
      assert.deepEqual(await labelsOf(pending), { agent_labels: agentLabels })
    }
    const { timeline, is_steered } = await read(pending)
    assert.deepEqual(
      timeline?.map(({ event, by, agent_labels }) => [event, by, agent_labels]),
      [
        ['labelled', 'api', ['eu', 'line:b']],
        ['labelled', 'api', []],
        ['labelled', 'api', null],
      ],
    )
    assert.equal(is_steered, true)
    assert.equal(await steering.change(key(finished), { agentLabels: ['eu'] }), 'completed')
    assert.deepEqual(await labelsOf(finished), { agent_labels: null })
  })

  it('labels, prioritises and pauses a callback in one change', async () => {
    const id = await putCallback(storage)
    await steering.change(key(id), { activated: false, priority: 3, agentLabels: ['eu'] })
    const { state, priority, timeline } = await read(id)
    assert.deepEqual([state, priority], ['paused', 3])
    const { at: _, ...entry } = timeline?.[0] ?? {}
    assert.deepEqual(entry, { event: 'changed', by: 'api', activated: false, priority: 3, agent_labels: ['eu'] })
  })

  const eventsOf = async (id: string): Promise<unknown[]> => ((await read(id)).timeline ?? []).map(({ event }) => event)

  async function claim(): Promise<ClaimedCallback> {
    const [callback] = await claims.claim(1, upTo(1))
    assert.ok(callback, 'a callback is due')
    return callback
  }

  async function putIn(state: CallbackState): Promise<string> {
    const id = await putCallback(storage)
    await storage.query(
      `UPDATE callbacks SET state = $2::callback_state, finished_at = CASE WHEN $2 IN ('completed', 'failed', 'cancelled') THEN now() END WHERE id = $1`,
      [id, state],
    )
    return id
  }

  describe('pausing', () => {
    it('keeps a pending callback from workers at once, and resuming makes it due', async () => {
      const id = await putCallback(storage)
      assert.equal(await steering.change(key(id), { activated: false }), 'pending')
      assert.deepEqual([(await read(id)).state, (await claims.claim(1, upTo(1))).length], ['paused', 0])
      await storage.query(`UPDATE callbacks SET due_at = now() + interval '1 hour'`)
      assert.equal(await steering.change(key(id), { activated: true }), 'paused')
      assert.equal((await claim()).id, id)
      assert.deepEqual(await eventsOf(id), ['paused', 'resumed'])
    })

    it('lets the attempt of a running callback end, and pauses it then', async () => {
      const id = await putCallback(storage)
      const callback = await claim()
      assert.equal(await steering.change(key(id), { activated: false }), 'running')
      assert.deepEqual([(await read(id)).state, (await read(id)).wish], ['running', 'pause'])
      assert.equal(await claims.settle(callback, BACK), 'paused')
      const { state, wish, is_finished, is_steered, timeline } = await read(id)
      assert.deepEqual([state, wish, is_finished, is_steered], ['paused', null, false, true])
      assert.equal(timeline?.at(-1)?.['state'], 'paused')
    })

    it('does not keep a running callback from completing', async () => {
      const id = await putCallback(storage)
      const callback = await claim()
      await steering.change(key(id), { activated: false })
      assert.equal(await claims.settle(callback, COMPLETED), 'completed')
      assert.equal((await read(id)).wish, null)
    })

    it('writes nothing if the callback is so already', async () => {
      const id = await putCallback(storage)
      await steering.change(key(id), { activated: true, priority: 0 })
      assert.deepEqual([(await read(id)).timeline, (await read(id)).is_steered], [null, false])
      await steering.change(key(id), { activated: false })
      await steering.change(key(id), { activated: false })
      assert.deepEqual(await eventsOf(id), ['paused'])
    })

    it('overrides a wish to cancel, and resuming leaves such a wish alone', async () => {
      const id = await putCallback(storage)
      await claim()
      await steering.wishCancelled(key(id))
      await steering.change(key(id), { activated: true })
      assert.equal((await read(id)).wish, 'cancel')
      await steering.change(key(id), { activated: false })
      assert.equal((await read(id)).wish, 'pause')
    })
  })

  it('changes both members in one statement, with one entry in the timeline', async () => {
    const id = await putCallback(storage)
    await steering.change(key(id), { activated: false, priority: 7 })
    const { state, priority, timeline } = await read(id)
    assert.deepEqual([state, priority, timeline?.length], ['paused', 7, 1])
    const { at: _, ...entry } = timeline?.[0] ?? {}
    assert.deepEqual(entry, { event: 'changed', by: 'api', activated: false, priority: 7 })
  })

  it('makes a callback of higher priority the next that is claimed', async () => {
    await putCallback(storage, { dueInMs: -60_000 })
    const late = await putCallback(storage)
    await steering.change(key(late), { priority: 1 })
    assert.equal((await claim()).id, late)
  })

  it('changes nothing of a finished callback', async () => {
    for (const state of ['completed', 'failed', 'cancelled'] as const) {
      const id = await putIn(state)
      for (const changes of [{ activated: false }, { activated: true }, { priority: 5 }])
        assert.equal(await steering.change(key(id), changes), state)
      assert.deepEqual([(await read(id)).state, (await read(id)).priority, (await read(id)).timeline], [state, 0, null])
    }
  })

  it('finds no callback of another workspace', async () => {
    const id = await putCallback(storage, { workspace: 'shop' })
    const found = [
      await steering.change(key(id), { activated: false }),
      await steering.cancel(key(id)),
      await steering.retry(key(id), 'all'),
      await steering.wishCancelled(key(id)),
      await steering.state(key(id)),
    ]
    assert.deepEqual(found, [undefined, undefined, undefined, undefined, undefined])
    assert.equal((await read(id)).timeline, null)
  })

  describe('cancelling', () => {
    it('finishes a callback that waits, and leaves all others as they are', async () => {
      for (const state of ['pending', 'paused', 'running', 'completed', 'failed', 'cancelled'] as const) {
        const id = await putIn(state)
        assert.equal(await steering.cancel(key(id)), state)
        const isWaiting = state === 'pending' || state === 'paused'
        const row = await read(id)
        assert.deepEqual([row.state, row.is_finished], [isWaiting ? 'cancelled' : state, state !== 'running'])
      }
    })

    it('of a running callback takes effect when its worker gives it back', async () => {
      const id = await putCallback(storage)
      const callback = await claim()
      assert.ok(await steering.wishCancelled(key(id)))
      assert.equal(await claims.settle(callback, { ...BACK, isCharged: false }), 'cancelled')
      const { state, is_finished, unstored } = await read(id)
      assert.deepEqual([state, is_finished, unstored], ['cancelled', true, [{ id: '1', outcome: 'pending', reason: 'timeout' }]])
    })

    it('gets its wish again if somebody else, who had it first, takes it back', async () => {
      const id = await putCallback(storage)
      await claim()
      const first = await steering.wishCancelled(key(id))
      const cancelled = cancelWithin(
        {
          cancel: () => steering.cancel(key(id)),
          wish: () => steering.wishCancelled(key(id)),
          isWished: () => steering.isWishedCancelled(key(id)),
        },
        { waitMs: 5000, isGone: () => false, nowMs: () => performance.now(), rest: ms => sleep(ms) },
      )
      await first?.withdraw()
      await eventually('it wishes again', async () => (await read(id)).wish === 'cancel')
      await claims.takeOver(2, [1])
      assert.deepEqual([await cancelled, (await read(id)).state], ['cancelled', 'cancelled'])
    })

    it('takes back its wish, and restores the wish before', async () => {
      const id = await putCallback(storage)
      const callback = await claim()
      await steering.change(key(id), { activated: false })
      const wish = await steering.wishCancelled(key(id))
      const second = await steering.wishCancelled(key(id))
      await second?.withdraw()
      assert.equal((await read(id)).wish, 'cancel', 'who found the wish there leaves it there')
      await wish?.withdraw()
      assert.equal((await read(id)).wish, 'pause')
      assert.equal(await claims.settle(callback, BACK), 'paused')
      await wish?.withdraw()
      assert.equal((await read(id)).wish, null)
    })
  })

  describe('a take-over', () => {
    for (const [wish, state] of [
      ['pause', 'paused'],
      ['cancel', 'cancelled'],
    ] as const) {
      it(`turns the callback of a dead worker into ${state}, if that was wished`, async () => {
        const id = await putCallback(storage)
        const callback = await claim()
        await (wish === 'pause' ? steering.change(key(id), { activated: false }) : steering.wishCancelled(key(id)))
        assert.equal(await claims.takeOver(2, [1]), 1)
        const row = await read(id)
        assert.deepEqual([row.state, row.wish, row.is_finished, row.crashes], [state, null, wish === 'cancel', 1])
        const { at: _, claimed_at: claimedAt, ...entry } = row.timeline?.at(-1) ?? {}
        assert.deepEqual(entry, { event: 'taken_over', worker: 1, by: 'worker 2', attempt: 1, state })
        assert.equal(claimedAt, Number.parseInt(callback.token.slice(0, 8) + callback.token.slice(9, 13), 16))
      })
    }

    it('skips a callback that another statement has locked, and takes it the next time', async () => {
      const id = await putCallback(storage)
      await claim()
      const { prisma } = storage.open()
      const held = Promise.withResolvers<void>()
      const locked = Promise.withResolvers<void>()
      const locking = prisma.$transaction(async tx => {
        await tx.$queryRaw`SELECT id FROM callbacks WHERE id = ${id}::uuid FOR UPDATE`
        locked.resolve()
        await held.promise
      })
      await locked.promise
      assert.equal(await claims.takeOver(2, [1]), 0)
      held.resolve()
      await locking
      assert.equal(await claims.takeOver(2, [1]), 1)
    })
  })

  describe('one more round', () => {
    it('begins only for a finished callback', async () => {
      for (const state of ['pending', 'paused', 'running'] as const) {
        const id = await putIn(state)
        assert.equal(await steering.retry(key(id), 'all'), state)
        assert.deepEqual([(await read(id)).state, (await read(id)).timeline], [state, null])
      }
    })

    it('counts attempts and crashes from 0, and is due at once', async () => {
      for (const state of ['completed', 'failed', 'cancelled'] as const) {
        const id = await putIn(state)
        await storage.query(
          `UPDATE callbacks SET attempts = 9, crashes = 6, due_at = now() + interval '1 hour', priority = 3 WHERE id = $1`,
          [id],
        )
        assert.equal(await steering.retry(key(id), 'missing'), state)
        const row = await read(id)
        assert.deepEqual(
          [row.state, row.attempts, row.crashes, row.is_due, row.is_finished, row.priority],
          ['pending', 0, 0, true, false, 3],
        )
      }
    })

    it('fetches all objects, or those that are not stored', async () => {
      const put = async (): Promise<string> => {
        const id = await putCallback(storage, { objectIds: [1n, 2n, 3n] })
        const unstored = [
          { id: 2n, outcome: 'failed', reason: 'http_403' },
          { id: 3n, outcome: 'not_found' },
        ] as const
        await claims.settle(await claim(), { state: 'failed', unstored })
        return id
      }
      const all = await put()
      await storage.query('UPDATE callbacks SET returns = 9')
      await steering.retry(key(all), 'all')
      assert.deepEqual(await storage.query('SELECT returns FROM callbacks WHERE id = $1', [all]), [{ returns: 0 }])
      const round = await claim()
      assert.deepEqual([round.missingIds, round.unstored, round.attempt], [[1n, 2n, 3n], [], 1])
      const missing = await put()
      await steering.retry(key(missing), 'missing')
      assert.deepEqual((await claim()).missingIds, [2n, 3n])
    })

    it('takes nothing as fresh that was fetched before it began', async () => {
      const id = await putCallback(storage, { objectIds: [1n] })
      await storage.query(`UPDATE callbacks SET received_at = now() - interval '1 hour'`)
      await claims.settle(await claim(), COMPLETED)
      await storage.query(
        `INSERT INTO objects (workspace, id, online, fetched_at, stored_at, expires_at, callback_id)
         VALUES ('default', 1, true, now() - interval '30 minutes', now(), now() + interval '1 hour', $1)`,
        [id],
      )
      await steering.retry(key(id), 'all')
      const first = await claim()
      assert.ok(first.waitedMs < 60_000, `waited ${first.waitedMs} ms`)
      await claims.takeOver(2, [1])
      assert.deepEqual((await claim()).missingIds, [1n], 'after a crash too')
    })

    it('is not ended by a worker of the round before', async () => {
      const id = await putCallback(storage)
      const zombie = await claim()
      await claims.takeOver(2, [1])
      await steering.cancel(key(id))
      await steering.retry(key(id), 'all')
      assert.equal(await claims.settle(zombie, COMPLETED), undefined)
      assert.equal((await read(id)).state, 'pending')
    })
  })

  it('counts the state that a callback gets while the change waits for its row', async () => {
    const id = await putIn('running')
    const { prisma } = storage.open()
    const [locked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const other = prisma.$transaction(async tx => {
      await tx.$executeRaw`UPDATE callbacks SET state = 'completed', finished_at = now() WHERE id = ${id}::uuid`
      locked.resolve()
      await held.promise
    })
    await locked.promise
    const retried = steering.retry(key(id), 'all')
    await eventually('the change waits', async () => {
      const waiting = await storage.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
      return waiting.length === 1
    })
    held.resolve()
    await other
    assert.deepEqual([await retried, (await read(id)).state], ['completed', 'pending'])
  })

  it('keeps the first 10 and the last 40 entries of a timeline', async () => {
    const id = await putCallback(storage)
    for (let i = 1; i <= 60; i += 1) await steering.change(key(id), { priority: i })
    const priorities = ((await read(id)).timeline ?? []).map(({ priority }) => priority)
    const expected = [...Array.from({ length: 10 }, (_, i) => i + 1), ...Array.from({ length: 40 }, (_, i) => i + 21)]
    assert.deepEqual(priorities, expected)
  })

  it('honours a wish that a worker of the release before ignored', async () => {
    const id = await putCallback(storage)
    await claim()
    await steering.change(key(id), { activated: false })
    await storage.query(`UPDATE callbacks SET state = 'pending', claimed_by = NULL, claim_token = NULL`)
    assert.equal(await claims.settle(await claim(), BACK), 'paused')
    await storage.query(`UPDATE callbacks SET state = 'pending', wish = 'pause'`)
    await steering.change(key(id), { activated: true })
    assert.deepEqual([(await read(id)).state, (await read(id)).wish], ['pending', null])
  })
})
