import assert from 'node:assert/strict'
import type { CallbackInbox } from '../../adapters/callback-inbox.ts'
import type { SpooledRow } from '../../adapters/spool-file.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
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

  const spooled = (changes: Partial<SpooledRow> = {}): SpooledRow => ({
    id: newCallback().id,
    object_ids: '{9223372036854775807,1}',
    idempotency_key: undefined,
    request_id: 'r',
    received_ms: Date.parse('2026-01-02T03:04:05.678Z'),
    ...changes,
  })
  const stored = (): Promise<{ id: string }[]> => storage.query('SELECT id FROM callbacks ORDER BY priority DESC, due_at')

  it('keeps ids, the moment of receipt, and the order in which they are claimed', async () => {
    const rows = Array.from({ length: 256 }, (_, i) => spooled({ idempotency_key: `key ${(i * 7) % 256}` }))
    await inbox.takeOver(rows)
    assert.deepEqual(
      (await stored()).map(({ id }) => id),
      rows.map(({ id }) => id),
    )
    const [row] = await storage.query('SELECT object_ids::text, received_at, request_id, state FROM callbacks LIMIT 1')
    const received_at = new Date('2026-01-02T03:04:05.678Z')
    assert.deepEqual(row, { object_ids: '{9223372036854775807,1}', received_at, request_id: 'r', state: 'pending' })
  })

  it('changes nothing that is there already, by id or by idempotency key', async () => {
    const accepted = await inbox.accept(newCallback({ idempotencyKey: 'k' }))
    await storage.query("UPDATE callbacks SET state = 'completed', finished_at = now()")
    const fresh = spooled()
    const rows = [spooled({ id: accepted.id }), spooled({ idempotency_key: 'k' }), fresh]
    await inbox.takeOver(rows)
    await inbox.takeOver(rows)
    const ids = (await storage.query<{ id: string }>('SELECT id FROM callbacks')).map(({ id }) => id)
    assert.deepEqual(ids.toSorted(), [accepted.id, fresh.id].toSorted())
    assert.equal((await storage.query("SELECT FROM callbacks WHERE state = 'completed'")).length, 1)
  })

  it('says which came with other ids under a used idempotency key', async () => {
    await inbox.accept(newCallback({ idempotencyKey: 'used' }))
    const { id, object_ids } =
      (await storage.query<{ id: string; object_ids: string }>('SELECT id, object_ids::text FROM callbacks'))[0] ?? assert.fail()
    const same = spooled({ id, object_ids, idempotency_key: 'used' })
    const other = spooled({ object_ids: '{1}', idempotency_key: 'used' })
    const fresh = spooled({ idempotency_key: 'fresh' })
    assert.deepEqual(await inbox.takeOver([same, other, fresh]), new Set([other.id]))
    assert.deepEqual(await inbox.takeOver([fresh]), new Set())
  })

  it('gives an insert that came through after all the moment its sender was told, unless somebody works on it', async () => {
    const [hung, claimed] = [await inbox.accept(newCallback()), await inbox.accept(newCallback())]
    await storage.query("UPDATE callbacks SET state = 'running', attempts = 1 WHERE id = $1", [claimed.id])
    await inbox.takeOver([spooled({ id: hung.id }), spooled({ id: claimed.id })])
    const rows = await storage.query<{ id: string; received_at: Date }>('SELECT id, received_at FROM callbacks')
    const received = new Map(rows.map(row => [row.id, row.received_at.toISOString()]))
    assert.equal(received.get(hung.id), '2026-01-02T03:04:05.678Z')
    assert.equal(received.get(claimed.id), claimed.receivedAt.toISOString())
  })

  it('takes none when Postgres refuses one, and says whose fault it is', async () => {
    await assert.rejects(inbox.takeOver([spooled(), spooled({ object_ids: '{9223372036854775808}' })]), ValueRefusedError)
    assert.deepEqual(await stored(), [])
  })

  it('says when the database is away', async () => {
    const { inbox: away } = newInbox(storage.open({ url: 'postgresql://nobody@127.0.0.1:1/nothing' }))
    await assert.rejects(away.takeOver([spooled()]), StorageUnavailableError)
  })
})
