import assert from 'node:assert/strict'
import { withClient } from '../../../../../test/support/database.ts'
import { eventually, until } from '../../../../../test/support/eventually.ts'
import { TcpProxy } from '../../../../../test/support/tcp-proxy.ts'
import type { CallbackInbox } from '../../../adapters/postgres/callback-inbox.ts'
import type { Accepted } from '../../../domain/accepting/intake.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { newCallback, newInbox } from './new-inbox.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

/** Long enough for a commit on a slow disk, so that a healthy insert does not time out. */
const TIMEOUT_MS = 1000
/** Less than the timeout, as in the service. A connection that was begun during the fault may hang for this time. */
const CONNECT_TIMEOUT_MS = 400
/** Less than two waits would take. */
const LATE_MS = 700
const BACK_WITHIN_MS = 1500

describe('CallbackInbox when Postgres is in trouble', () => {
  let storage: TestStorage
  let proxy: TcpProxy
  let inbox: CallbackInbox

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('DELETE FROM callbacks')
    proxy = new TcpProxy(storage.url)
    await proxy.start()
    const database = storage.open({ url: proxy.url, connectTimeoutMs: CONNECT_TIMEOUT_MS, queryTimeoutMs: TIMEOUT_MS })
    inbox = newInbox(database, { timeoutMs: TIMEOUT_MS }).inbox
    // Both connections are open when the fault begins.
    await Promise.all([accept('warm'), accept('up')])
  })

  afterEach(() => proxy.stop())
  after(() => storage.close())

  const troubles: [string, () => void][] = [
    ['is down', () => proxy.refuse()],
    ['hangs', () => proxy.goSilent()],
  ]
  for (const [what, begin] of troubles) {
    it(`says so in time while it ${what}, and accepts again as soon as it is back`, async () => {
      begin()
      // The first two inserts use the open connections. For the others there is none.
      for (const count of [2, 300]) {
        const took = await Promise.all(Array.from({ length: count }, () => msToFail('never')))
        assert.ok(Math.max(...took) < TIMEOUT_MS + LATE_MS, `${Math.max(...took)} ms`)
      }
      proxy.forward()
      const back = performance.now()
      // A try may still wait for the place of a connection that was given up.
      await until(() =>
        accept('first').then(
          () => true,
          () => false,
        ),
      )
      const tookMs = performance.now() - back
      assert.ok(tookMs < BACK_WITHIN_MS, `${tookMs} ms`)
    })
  }

  it('survives connections that are cut while idle', async () => {
    proxy.cut()
    await eventually('accepted', () =>
      accept('after').then(
        () => true,
        () => false,
      ),
    )
  })

  it('fails when the answer to the commit is lost, and a retry finds the only row', async () => {
    const lost = proxy.loseNextAnswer()
    await assert.rejects(accept('lost'), StorageUnavailableError)
    await lost
    assert.equal((await rows('lost')).length, 1)
    const retried = await accept('lost')
    assert.equal(retried.isReplay, true)
    assert.deepEqual(await rows('lost'), [{ id: retried.id }])
  })

  it('waits no longer for a locked table, and makes one row of the try and its retry', async () => {
    await withClient(storage.url, async client => {
      await client.query('BEGIN; LOCK TABLE callbacks IN SHARE MODE')
      assert.ok((await msToFail('late')) < TIMEOUT_MS + LATE_MS)
      await client.query('COMMIT')
    })
    const retried = await accept('late')
    await eventually('nothing is under way any more', async () => {
      const active = await storage.query(`SELECT FROM pg_stat_activity WHERE application_name = 'answerback test' AND state = 'active'`)
      return active.length === 0
    })
    assert.deepEqual(await rows('late'), [{ id: retried.id }])
  })

  function accept(idempotencyKey: string): Promise<Accepted> {
    return inbox.insert(newCallback({ idempotencyKey }))
  }

  async function msToFail(key: string): Promise<number> {
    const started = performance.now()
    await assert.rejects(accept(key), StorageUnavailableError)
    return performance.now() - started
  }

  function rows(key: string): Promise<{ id: string }[]> {
    return storage.query<{ id: string }>('SELECT id FROM callbacks WHERE idempotency_key = $1', [key])
  }
})
