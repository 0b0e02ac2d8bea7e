import assert from 'node:assert/strict'
import { accept, finished, postCallback } from '../support/callbacks.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type Surroundings, startSurroundings } from '../support/system.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

/** An arbitrary idempotency key. The table is emptied before each test. */
const KEY = { 'idempotency-key': 'key 1' }

describe('the moment of the commit', function () {
  this.timeout(60_000)
  let system: Surroundings
  let proxy: TcpProxy
  let service: ServiceProcess
  /** The service that is started after a kill. */
  let again: ServiceProcess | undefined

  before(async () => {
    system = await startSurroundings()
  })

  beforeEach(async () => {
    await system.db.query('TRUNCATE callbacks')
    proxy = new TcpProxy(system.databaseUrl)
    await proxy.start()
    service = await (await system.startCallbackService({ DATABASE_URL: proxy.url })).ready()
  })

  afterEach(async () => {
    await service.stop()
    await again?.stop()
    await proxy.stop()
  })

  after(() => system.stop())

  const rows = async (): Promise<string[]> => (await system.db.query('SELECT id FROM callbacks')).rows.map(row => row.id)

  it('makes one callback of a try that was killed just after it and of its retry', async () => {
    proxy.swallowAnswers()
    const unheard = postCallback(service.url, [1], KEY).catch(() => undefined)
    await until(async () => (await rows()).length === 1)
    await service.stop('SIGKILL')
    assert.equal(await unheard, undefined)
    again = await (await system.startCallbackService()).ready()
    const id = await accept(again.url, [1], KEY)
    assert.deepEqual(await rows(), [id])
    assert.equal((await finished(again.url, id)).state, 'completed')
  })

  it('makes one callback of a try that was killed just before it and of its retry', async () => {
    await withClient(system.databaseUrl, async client => {
      await client.query('BEGIN; LOCK TABLE callbacks IN SHARE MODE')
      const unheard = postCallback(service.url, [1], KEY).catch(() => undefined)
      await until(async () => (await waitingForLock()) > 0)
      await service.stop('SIGKILL')
      assert.equal(await unheard, undefined)
      await client.query('COMMIT')
    })
    again = await (await system.startCallbackService()).ready()
    const id = await accept(again.url, [1], KEY)
    await until(async () => (await waitingForLock()) === 0)
    assert.deepEqual(await rows(), [id])
  })

  it('is followed by 503, never 202, when its answer is lost', async () => {
    proxy.swallowAnswers()
    const response = await postCallback(service.url, [1], KEY)
    assert.equal(response.status, 503)
    const [stored] = await rows()
    proxy.forward()
    proxy.cut()
    const id = await until(async () => {
      const answer = await postCallback(service.url, [1], KEY)
      return answer.ok ? ((await answer.json()) as { id: string }).id : undefined
    })
    assert.equal(id, stored)
    assert.equal((await rows()).length, 1)
  })

  it('succeeds again within seconds after connections have gone silent, and work continues', async () => {
    const silent = await until(() => leaseEnd(service))
    proxy.goSilent()
    assert.equal((await postCallback(service.url, [1])).status, 503)
    // Existing connections stay silent, but new ones work.
    proxy.forward()
    const back = performance.now()
    const response = await until(async () => {
      const answer = await postCallback(service.url, [2])
      return answer.ok ? answer : undefined
    })
    assert.ok(performance.now() - back < 3000, `accepted after ${performance.now() - back} ms`)
    const { id } = (await response.json()) as { id: string }
    await until(() => isCompleted(id), 10_000)
    // The worker uses its session only every few seconds. Work must also continue after it has found the session silent.
    await until(async () => ((await leaseEnd(service)) ?? 0) > silent, 15_000)
    const { id: last } = (await (await postCallback(service.url, [3])).json()) as { id: string }
    await until(() => isCompleted(last), 1000)
  })

  async function isCompleted(id: string): Promise<boolean> {
    return (await system.db.query(`SELECT FROM callbacks WHERE id = $1 AND state = 'completed'`, [id])).rows.length > 0
  }

  /** Reads when the lease of the service's worker ends; undefined before it has one. */
  async function leaseEnd({ pid }: ServiceProcess): Promise<Date | undefined> {
    return (await system.db.query('SELECT lease_expires_at FROM workers WHERE pid = $1', [pid])).rows[0]?.lease_expires_at
  }

  async function waitingForLock(): Promise<number> {
    const { rows } = await system.db.query(
      `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'answerback accept' AND wait_event_type = 'Lock'`,
    )
    return rows[0].count
  }
})
