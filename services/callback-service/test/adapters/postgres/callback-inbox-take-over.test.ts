import assert from 'node:assert/strict'
import { columns } from '../../../adapters/new-callback.ts'
import type { CallbackInbox } from '../../../adapters/postgres/callback-inbox.ts'
import type { SpooledRow } from '../../../adapters/spool/spool-file.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../../domain/storage-errors.ts'
import { newCallback, newInbox } from './new-inbox.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('CallbackInbox.takeOver', () => {
  let storage: TestStorage
  let inbox: CallbackInbox

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('DELETE FROM callbacks')
    ;({ inbox } = newInbox(storage.open()))
  })

  after(() => storage.close())

  it('keeps the keys of workspaces apart', async () => {
    const [ours, theirs] = [spooled({ idempotency_key: 'k' }), spooled({ workspace: 'shop', idempotency_key: 'k', object_ids: '{7}' })]
    assert.deepEqual(await inbox.takeOver([ours, theirs]), [])
    assert.deepEqual(await storage.query('SELECT id, workspace, idempotency_key FROM callbacks ORDER BY workspace'), [
      { id: ours.id, workspace: 'default', idempotency_key: 'k' },
      { id: theirs.id, workspace: 'shop', idempotency_key: 'k' },
    ])
    const rival = spooled({ workspace: 'shop', idempotency_key: 'k', object_ids: '{8}' })
    assert.equal((await inbox.takeOver([rival]))[0]?.ownerId, theirs.id)
  })

  const spooled = (changes: Partial<SpooledRow> = {}): SpooledRow => ({
    id: newCallback().id,
    workspace: 'default',
    object_ids: '{9223372036854775807,1}',
    idempotency_key: undefined,
    request_id: 'r',
    received_ms: Date.parse('2026-01-02T03:04:05.678Z'),
    ...changes,
  })
  const stored = (): Promise<{ id: string }[]> => storage.query('SELECT id FROM callbacks ORDER BY priority DESC, due_at')

  it('keeps ids, the moment of receipt, and the order in which they are claimed', async () => {
    const rows = Array.from({ length: 256 }, (_, i) => spooled({ idempotency_key: `key ${(i * 7) % 256}` }))
    assert.deepEqual(await inbox.takeOver(rows), [])
    assert.deepEqual(
      (await stored()).map(({ id }) => id),
      rows.map(({ id }) => id),
    )
    const [row] = await storage.query('SELECT object_ids::text, received_at, request_id, state FROM callbacks LIMIT 1')
    const received_at = new Date('2026-01-02T03:04:05.678Z')
    assert.deepEqual(row, { object_ids: '{9223372036854775807,1}', received_at, request_id: 'r', state: 'pending' })
  })

  it('says in the timeline since when it lay in a spool, and shows readers of changes that it is new', async () => {
    const row = spooled()
    await inbox.takeOver([row])
    const [stored] = await storage.query<{ timeline: Record<string, unknown>[]; is_steered: boolean }>(
      `SELECT timeline, steered_at > now() - interval '1 minute' AS is_steered FROM callbacks`,
    )
    const { at, host, ...entry } = stored?.timeline[0] ?? {}
    assert.deepEqual([entry, stored?.is_steered], [{ event: 'drained', spooled_at: row.received_ms }, true])
    assert.ok(typeof at === 'number' && typeof host === 'string')
  })

  it('changes no row that is there already under the id or the idempotency key', async () => {
    const accepted = await inbox.insert(newCallback({ idempotencyKey: 'k', objectIds: [9223372036854775807n, 1n] }))
    await storage.query("UPDATE callbacks SET state = 'completed', finished_at = now()")
    const fresh = spooled()
    const rows = [spooled({ id: accepted.id }), spooled({ idempotency_key: 'k' }), fresh]
    await inbox.takeOver(rows)
    await inbox.takeOver(rows)
    const ids = (await storage.query<{ id: string }>('SELECT id FROM callbacks')).map(({ id }) => id)
    assert.deepEqual(ids.toSorted(), [accepted.id, fresh.id].toSorted())
    assert.equal((await storage.query("SELECT FROM callbacks WHERE state = 'completed'")).length, 1)
  })

  describe('of callbacks that were acknowledged under the idempotency key of another one', () => {
    const idsUnder = (key: string | null): Promise<{ id: string; object_ids: string }[]> =>
      storage.query('SELECT id, object_ids::text FROM callbacks WHERE idempotency_key IS NOT DISTINCT FROM $1', [key])

    it('keeps each without the key and names its owner, and changes nothing the second time', async () => {
      const owner = await inbox.insert(newCallback({ idempotencyKey: 'used' }))
      const same = spooled({ ...columns(newCallback({ idempotencyKey: 'used' })) })
      const rival = spooled({ ...columns(newCallback({ idempotencyKey: 'used', objectIds: [1n] })) })
      const fresh = spooled({ idempotency_key: 'fresh' })
      assert.deepEqual(await inbox.takeOver([same, rival, fresh]), [{ id: rival.id, ownerId: owner.id }])
      assert.deepEqual(await idsUnder('used'), [{ id: owner.id, object_ids: '{1,2}' }])
      assert.deepEqual(await idsUnder(null), [{ id: rival.id, object_ids: '{1}' }])
      assert.deepEqual(await inbox.takeOver([same, rival, fresh]), [])
      assert.equal((await stored()).length, 3)
    })

    it('answers a retry of such a callback with its own id, even after the owner of the key is deleted', async () => {
      await inbox.insert(newCallback({ idempotencyKey: 'used' }))
      const rival = newCallback({ idempotencyKey: 'used', objectIds: [1n] })
      await inbox.takeOver([spooled(columns(rival))])
      const retry = async () => [(await inbox.insert(rival)).id, (await inbox.insert(rival)).isReplay]
      assert.deepEqual(await retry(), [rival.id, true])
      await storage.query("DELETE FROM callbacks WHERE idempotency_key = 'used'")
      assert.deepEqual(await retry(), [rival.id, true])
      assert.equal((await stored()).length, 1)
    })

    it('keeps a callback with the same id as the owner, because earlier releases made ids from the key alone', async () => {
      const id = newCallback().id
      await inbox.insert(newCallback({ id, idempotencyKey: 'used' }))
      const rival = spooled({ id, idempotency_key: 'used', object_ids: '{1}' })
      assert.deepEqual(await inbox.takeOver([rival]), [{ id, ownerId: id }])
      await inbox.takeOver([rival])
      assert.deepEqual(
        (await idsUnder(null)).map(row => row.object_ids),
        ['{1}'],
      )
    })

    it('finds a copy under an id of an earlier release, and keeps no second row', async () => {
      const { id } = newCallback()
      await inbox.insert(newCallback({ id, idempotencyKey: 'used' }))
      assert.deepEqual(await inbox.takeOver([spooled(columns(newCallback({ idempotencyKey: 'used' })))]), [])
      assert.deepEqual(await stored(), [{ id }])
    })
  })

  it('treats callbacks of a clock that was ahead as received and due now, in their order', async () => {
    const hourMs = 3_600_000
    const now = Date.now()
    // The clock was an hour ahead at first, and was then corrected.
    const times = [now + hourMs, now + hourMs, now - 5000, now - 4000]
    const rows = times.map(received_ms => spooled({ received_ms }))
    await inbox.takeOver(rows)
    const found = await storage.query<{ id: string; received_at: Date; is_due: boolean }>(
      'SELECT id, received_at, received_at <= clock_timestamp() AND due_at <= clock_timestamp() AS is_due FROM callbacks ORDER BY due_at',
    )
    assert.deepEqual(
      found.map(({ id, is_due }) => [id, is_due]),
      rows.map(({ id }) => [id, true]),
    )
    assert.deepEqual(
      found.slice(2).map(row => row.received_at.getTime()),
      times.slice(2),
    )
  })

  it('gives a late insert the time that its sender was told, unless a worker has it', async () => {
    const [hung, claimed] = [await inbox.insert(newCallback()), await inbox.insert(newCallback())]
    await storage.query("UPDATE callbacks SET state = 'running', attempts = 1 WHERE id = $1", [claimed.id])
    await inbox.takeOver([spooled({ id: hung.id }), spooled({ id: claimed.id })])
    const rows = await storage.query<{ id: string; received_at: Date }>('SELECT id, received_at FROM callbacks')
    const received = new Map(rows.map(row => [row.id, row.received_at.toISOString()]))
    assert.equal(received.get(hung.id), '2026-01-02T03:04:05.678Z')
    assert.equal(received.get(claimed.id), claimed.receivedAt.toISOString())
  })

  for (const [what, change] of [
    ['was tried already', 'attempts = 1'],
    ['is being worked on', "state = 'running'"],
    ['was received before', "received_at = '2026-01-02T03:04:05.677Z'"],
  ] as const) {
    it(`keeps the times of a stored callback that ${what}`, async () => {
      const { id } = await inbox.insert(newCallback())
      const times = () => storage.query('SELECT received_at, due_at FROM callbacks')
      await storage.query(`UPDATE callbacks SET ${change}`)
      const before = await times()
      await inbox.takeOver([spooled({ id, object_ids: '{1,2}' })])
      assert.deepEqual(await times(), before)
    })
  }

  it('does not deadlock when two services take over copies of the same callbacks in opposite orders', async () => {
    const other = newInbox(storage.open()).inbox
    for (let round = 0; round < 20; round += 1) {
      const copies = () => Array.from({ length: 256 }, (_, i) => spooled({ idempotency_key: `${round}/${i}` }))
      await Promise.all([inbox.takeOver(copies()), other.takeOver(copies().toReversed())])
    }
    assert.equal((await stored()).length, 20 * 256)
  })

  it('takes none when Postgres refuses one, and says that the value is to blame', async () => {
    await assert.rejects(inbox.takeOver([spooled(), spooled({ object_ids: '{9223372036854775808}' })]), ValueRefusedError)
    assert.deepEqual(await stored(), [])
  })

  it('fails as retryable while the database is away', async () => {
    const { inbox: away } = newInbox(storage.open({ url: 'postgresql://nobody@127.0.0.1:1/nothing' }))
    await assert.rejects(away.takeOver([spooled()]), StorageUnavailableError)
  })
})
