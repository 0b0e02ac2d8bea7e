import assert from 'node:assert/strict'
import type { CallbackInbox } from '../../../adapters/postgres/callback-inbox.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../../../domain/accepting/accept-errors.ts'
import type { Accepted } from '../../../domain/accepting/intake.ts'
import { ValueRefusedError } from '../../../domain/storage-errors.ts'
import { newCallback, newInbox } from './new-inbox.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('CallbackInbox', () => {
  let storage: TestStorage
  let inbox: CallbackInbox
  let commits: number[]

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('DELETE FROM callbacks')
    ;({ inbox, commits } = newInbox(storage.open()))
  })

  after(() => storage.close())

  it('has committed a callback when it answers, so that others see it', async () => {
    const { id, receivedAt, isReplay } = await inbox.insert(newCallback())
    assert.equal(isReplay, false)
    const rows = await storage.query(
      'SELECT state, attempts, received_at, due_at <= clock_timestamp() AS is_due FROM callbacks WHERE id = $1',
      [id],
    )
    const [row] = rows as { received_at: Date }[]
    assert.deepEqual(row, { state: 'pending', attempts: 0, received_at: row?.received_at, is_due: true })
    assert.equal(receivedAt.getTime(), row?.received_at.getTime())
  })

  it('corrects a clock that is behind, so that a callback which is spooled afterwards is later', async () => {
    const clock = new DatabaseClock()
    clock.observe(Date.now() - 500, performance.now() - 510)
    const { receivedAt } = await newInbox(storage.open(), { clock }).inbox.insert(newCallback())
    assert.ok(clock.nowMs() >= receivedAt.getTime(), `${receivedAt.getTime() - clock.nowMs()} ms behind`)
    assert.equal(clock.step, undefined)
  })

  it('stores every id exactly and in order, including duplicates, which the caller drops', async () => {
    const objectIds = [9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n), 7n, 7n, 0n]
    const { id } = await inbox.insert(newCallback({ objectIds }))
    const empty = await inbox.insert(newCallback({ objectIds: [] }))
    assert.deepEqual(await storedIds(id), objectIds)
    assert.deepEqual(await storedIds(empty.id), [])
  })

  it('stores the trace and the request id, and null where there is none', async () => {
    const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'vendor=1', baggage: 'k=v;p="ü 😀"' }
    const traced = await inbox.insert(newCallback({ trace, requestId: 'request-1' }))
    const plain = await inbox.insert(newCallback())
    const columns = 'SELECT request_id, traceparent, tracestate, baggage, idempotency_key FROM callbacks WHERE id = $1'
    assert.deepEqual(await storage.query(columns, [traced.id]), [{ request_id: 'request-1', ...trace, idempotency_key: null }])
    assert.deepEqual(await storage.query(columns, [plain.id]), [
      { request_id: null, traceparent: null, tracestate: null, baggage: null, idempotency_key: null },
    ])
  })

  it('makes callbacks that come at once share few commits', async () => {
    await Promise.all(Array.from({ length: 500 }, () => inbox.insert(newCallback())))
    assert.equal(
      commits.reduce((sum, size) => sum + size),
      500,
    )
    assert.ok(commits.length <= 6, `${commits.length} commits`)
    const [row] = await storage.query<{ rows: number; transactions: number }>(
      'SELECT count(*)::int AS rows, count(DISTINCT xmin::text)::int AS transactions FROM callbacks',
    )
    assert.deepEqual(row, { rows: 500, transactions: commits.length })
  })

  it('makes callbacks of one commit due in the order in which they came', async () => {
    const one = newInbox(storage.open(), { maxInFlight: 1 })
    const keys = Array.from({ length: 51 }, (_, i) => `key ${99 - i}`)
    const accepted = await Promise.all(keys.map(idempotencyKey => one.inbox.insert(newCallback({ idempotencyKey }))))
    assert.deepEqual(one.commits, [1, 50])
    const rows = await storage.query<{ id: string }>('SELECT id FROM callbacks ORDER BY due_at')
    assert.deepEqual(
      rows.map(({ id }) => id),
      accepted.map(({ id }) => id),
    )
  })

  describe('idempotency', () => {
    it('gives the first callback again to the same key with the same ids', async () => {
      const first = await inbox.insert(newCallback({ idempotencyKey: 'same', requestId: 'first' }))
      const again = await inbox.insert(newCallback({ idempotencyKey: 'same', requestId: 'second' }))
      assert.deepEqual(again, { ...first, isReplay: true })
      assert.deepEqual(await storage.query('SELECT id, request_id FROM callbacks'), [{ id: first.id, request_id: 'first' }])
    })

    it('answers a replay, and what comes with it, while another transaction changes the first callback', async () => {
      const { inbox: one } = newInbox(storage.open(), { maxInFlight: 1 })
      const first = await one.insert(newCallback({ idempotencyKey: 'same' }))
      const answers = await storage.duringTransaction('UPDATE callbacks SET priority = 1 WHERE id = $1', [first.id], () =>
        Promise.all([
          one.insert(newCallback()),
          one.insert(newCallback({ idempotencyKey: 'same' })),
          one.insert(newCallback({ idempotencyKey: 'other' })),
        ]),
      )
      assert.deepEqual(
        answers.map(({ isReplay }) => isReplay),
        [false, true, false],
      )
    })

    it('tells copies apart that share a commit', async () => {
      const one = newInbox(storage.open(), { maxInFlight: 1 })
      const answers = await Promise.allSettled([
        one.inbox.insert(newCallback()),
        one.inbox.insert(newCallback({ idempotencyKey: 'a' })),
        one.inbox.insert(newCallback({ idempotencyKey: 'b' })),
        one.inbox.insert(newCallback({ idempotencyKey: 'a' })),
        one.inbox.insert(newCallback({ idempotencyKey: 'a', objectIds: [3n] })),
      ])
      const outcomes = answers.map(answer => (answer.status === 'fulfilled' ? answer.value.isReplay : (answer.reason as unknown)))
      assert.deepEqual(one.commits, [1, 4])
      assert.deepEqual(outcomes.slice(0, 4), [false, false, false, true])
      assert.ok(outcomes[4] instanceof IdempotencyKeyReusedError, String(outcomes[4]))
      assert.equal(await countRows(), 3)
    })

    it('gives the first callback again to the same key with the same ids in another order', async () => {
      const first = await inbox.insert(newCallback({ idempotencyKey: 'same', objectIds: [2n, 10n, -1n] }))
      const again = await inbox.insert(newCallback({ idempotencyKey: 'same', objectIds: [-1n, 2n, 10n] }))
      assert.deepEqual(again, { ...first, isReplay: true })
      assert.deepEqual(await storedIds(first.id), [2n, 10n, -1n])
    })

    it('answers a retry with the callback of an earlier release, whose id was made from the key alone', async () => {
      const first = await inbox.insert(newCallback({ id: newCallback().id, idempotencyKey: 'same' }))
      assert.deepEqual(await inbox.insert(newCallback({ idempotencyKey: 'same' })), { ...first, isReplay: true })
    })

    it('finds a callback without a key by its id, and does not call it a replay', async () => {
      const callback = newCallback()
      const first = await inbox.insert(callback)
      assert.deepEqual(await inbox.insert(callback), first)
    })

    for (const [where, count] of [
      ['one commit', 1],
      ['the commits of two services', 2],
    ] as [string, number][]) {
      it(`acknowledges one of the rivals under a key that come at once in ${where}, and refuses the others`, async () => {
        const inboxes = Array.from({ length: count }, () => newInbox(storage.open(), { maxInFlight: 1 }).inbox)
        for (let round = 0; round < 30; round += 1) {
          const idempotencyKey = `round ${round}`
          // The first callback of each inbox has its own commit. Those that arrive meanwhile share the next one.
          const ahead = inboxes.map(each => each.insert(newCallback()))
          const answers = await Promise.allSettled(
            [1n, 2n, 3n, 1n].map((objectId, i) =>
              (inboxes[i % count] ?? inbox).insert(newCallback({ idempotencyKey, objectIds: [objectId] })),
            ),
          )
          await Promise.all(ahead)
          const accepted = answers.flatMap(answer => (answer.status === 'fulfilled' ? [answer.value] : []))
          const refused = answers.flatMap(answer => (answer.status === 'rejected' ? [answer.reason as unknown] : []))
          const rows = await storage.query<{ id: string }>('SELECT id FROM callbacks WHERE idempotency_key = $1', [idempotencyKey])
          assert.deepEqual(new Set(accepted.map(({ id }) => id)), new Set(rows.map(({ id }) => id)))
          assert.equal(accepted.filter(({ isReplay }) => !isReplay).length, 1)
          assert.ok(refused.length >= 2 && refused.every(error => error instanceof IdempotencyKeyReusedError), String(refused))
        }
      })
    }

    for (const [what, objectIds] of [
      ['other ids', [1n, 3n]],
      ['no ids', []],
    ] as [string, bigint[]][]) {
      it(`refuses a key that comes again with ${what}`, async () => {
        await inbox.insert(newCallback({ idempotencyKey: 'reused' }))
        await assert.rejects(inbox.insert(newCallback({ idempotencyKey: 'reused', objectIds })), IdempotencyKeyReusedError)
        assert.equal(await countRows(), 1)
      })
    }

    it('makes one callback of 50 copies that come at once to two services', async () => {
      const other = newInbox(storage.open(), { maxBatch: 3 }).inbox
      const copies = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? inbox : other).insert(newCallback({ idempotencyKey: 'storm' })))
      const answers = await Promise.all(copies)
      assert.equal(new Set(answers.map(({ id }) => id)).size, 1)
      assert.equal(answers.filter(({ isReplay }) => !isReplay).length, 1)
      assert.equal(await countRows(), 1)
    })

    it('does not deadlock when two services get the same keys in opposite orders', async () => {
      const other = newInbox(storage.open()).inbox
      for (let round = 0; round < 20; round += 1) {
        const keys = Array.from({ length: 100 }, (_, i) => `${round}/${i}`)
        const accept =
          (to: CallbackInbox) =>
          (idempotencyKey: string): Promise<Accepted> =>
            to.insert(newCallback({ idempotencyKey }))
        await Promise.all([...keys.map(accept(inbox)), ...keys.toReversed().map(accept(other))])
      }
      assert.equal(await countRows(), 2000)
    })
  })

  describe('with two workspaces', () => {
    it('keeps their keys apart, in one commit and later', async () => {
      const one = newInbox(storage.open(), { maxInFlight: 1 })
      const first = one.inbox.insert(newCallback())
      const [ours, theirs] = await Promise.all([
        one.inbox.insert(newCallback({ idempotencyKey: 'k' })),
        one.inbox.insert(newCallback({ workspace: 'shop', idempotencyKey: 'k', objectIds: [3n] })),
        first,
      ])
      assert.deepEqual(one.commits, [1, 2])
      assert.deepEqual([ours.isReplay, theirs.isReplay], [false, false])
      assert.deepEqual(await inbox.insert(newCallback({ workspace: 'shop', idempotencyKey: 'k', objectIds: [3n] })), {
        ...theirs,
        isReplay: true,
      })
      await assert.rejects(inbox.insert(newCallback({ workspace: 'shop', idempotencyKey: 'k' })), IdempotencyKeyReusedError)
      assert.deepEqual(await storage.query('SELECT workspace FROM callbacks WHERE idempotency_key IS NOT NULL ORDER BY 1'), [
        { workspace: 'default' },
        { workspace: 'shop' },
      ])
    })

    it('makes two callbacks of the same key and the same ids', async () => {
      const [ours, theirs] = await Promise.all([
        inbox.insert(newCallback({ idempotencyKey: 'k' })),
        inbox.insert(newCallback({ workspace: 'shop', idempotencyKey: 'k' })),
      ])
      assert.notEqual(ours.id, theirs.id)
      assert.equal(await countRows(), 2)
    })

    it('says after a commit which of them have new callbacks', async () => {
      const arrived: string[] = []
      const one = newInbox(storage.open(), { maxInFlight: 1, onArrived: workspace => arrived.push(workspace) }).inbox
      await Promise.all(['default', 'default', 'shop', 'default', 'depot', 'shop'].map(workspace => one.insert(newCallback({ workspace }))))
      assert.deepEqual(arrived, ['default', 'default', 'shop', 'depot'])
      await one.insert(newCallback({ workspace: 'shop', idempotencyKey: 'k' }))
      arrived.length = 0
      await one.insert(newCallback({ workspace: 'shop', idempotencyKey: 'k' }))
      assert.deepEqual(arrived, [])
    })
  })

  it('refuses only the callback whose value Postgres refuses, and accepts those beside it', async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 64 }, (_, i) => inbox.insert(newCallback({ trace: { tracestate: i === 40 ? 'a=\u0000' : 'a=1' } }))),
    )
    const refused = answers.flatMap((answer, i) => (answer.status === 'rejected' ? [{ i, reason: answer.reason as unknown }] : []))
    assert.deepEqual(
      refused.map(({ i }) => i),
      [40],
    )
    assert.ok(refused[0]?.reason instanceof ValueRefusedError, String(refused[0]?.reason))
    assert.equal(await countRows(), 63)
  })

  it('refuses callbacks beyond the waiting limit at once, and stores none of them', async () => {
    const small = newInbox(storage.open(), { maxWaiting: 3, maxInFlight: 1 }).inbox
    const accepted = Array.from({ length: 4 }, () => small.insert(newCallback()))
    assert.equal(small.waiting, 3)
    let isRefused = false
    const refused = assert.rejects(small.insert(newCallback()), OverloadedError).then(() => {
      isRefused = true
    })
    await new Promise(setImmediate)
    assert.equal(isRefused, true)
    await refused
    await Promise.all(accepted)
    assert.equal(await countRows(), 4)
  })

  async function storedIds(id: string): Promise<bigint[]> {
    const rows = await storage.query<{ ids: string[] }>('SELECT object_ids::text[] AS ids FROM callbacks WHERE id = $1', [id])
    return rows.flatMap(({ ids }) => ids.map(BigInt))
  }

  async function countRows(): Promise<number> {
    return (await storage.query('SELECT FROM callbacks')).length
  }
})
