import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { accept, type CallbackAnswer, finished, postCallback, readMetrics } from '../support/callbacks.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { ServiceProcess } from '../support/service-process.ts'

/** The limits of the default settings, as in docs/configuration.md. */
const MAX_CONNECTIONS = 2 + 6 + 1
const STATEMENT_TIMEOUT_MS = 1500

describe('a PostgreSQL whose synchronous standby is gone', function () {
  this.timeout(90_000)
  let server: PostgresServer
  let databaseUrl: string
  let db: pg.Client
  let client: ServiceProcess
  let service: ServiceProcess
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'answerback-standby-'))
    server = await PostgresServer.start()
    databaseUrl = await server.createDatabase('standby')
    db = new pg.Client({ connectionString: databaseUrl, application_name: 'onlooker' })
    await db.connect()
    client = await ServiceProcess.start('client-service', {
      EMITTER_ENABLED: 'false',
      LATENCY_MIN_MS: '1',
      LATENCY_MAX_MS: '5',
      ZIPKIN_URL: '',
    })
  })

  afterEach(async () => {
    await standbyIs('')
    await service?.stop()
    await db.query('DELETE FROM callbacks')
  })

  after(async () => {
    await client?.stop()
    await db?.end()
    await server.remove()
    await rm(folder, { recursive: true })
  })

  async function start(settings: Record<string, string> = {}): Promise<void> {
    service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: databaseUrl,
      CLIENT_SERVICE_URL: client.url,
      ZIPKIN_URL: '',
      ...settings,
    })
    await service.ready()
  }

  /** Sets the name of the standby. Resolves when commits hang, or when they no longer hang. */
  async function standbyIs(name: string): Promise<void> {
    await db.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
    await db.query('SELECT pg_reload_conf()')
    await until(async () => (await commits()) === (name === ''))
  }

  /** Whether a commit ends within a short time. */
  async function commits(): Promise<boolean> {
    return withClient(databaseUrl, async other => {
      const { rows } = await other.query('SELECT pg_backend_pid() AS pid')
      const commit = other.query(`SELECT pg_logical_emit_message(true, 'test', '')`).then(() => true)
      const isDone = await Promise.race([commit, sleep(200, false)])
      await db.query('SELECT pg_cancel_backend($1)', [rows[0].pid])
      await commit
      return isDone
    })
  }

  const database = async (): Promise<{ status: number; reason: string | undefined }> => {
    const response = await fetch(`${service.url}/readyz`)
    const { checks } = (await response.json()) as { checks: { database: { reason?: string } } }
    return { status: response.status, reason: checks.database.reason }
  }

  const connections = async (): Promise<number> =>
    (await db.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'answerback %'`)).rowCount ??
    0

  /** Returns the largest number of connections while `work` runs. */
  async function mostConnections(work: Promise<unknown>): Promise<number> {
    let isRunning = true
    const ended = work.finally(() => {
      isRunning = false
    })
    let most = 0
    while (isRunning) {
      most = Math.max(most, await connections())
      await sleep(10)
    }
    await ended
    return most
  }

  it('keeps its connections bounded, is not ready, says why, and continues when commits no longer wait for the standby', async () => {
    await start()
    await accept(service.url, [1])
    await standbyIs('nobody')
    const statuses: number[] = []
    const most = await mostConnections(
      (async () => {
        for (let i = 0; i < 8; i += 1) statuses.push((await postCallback(service.url, [i])).status)
      })(),
    )
    assert.deepEqual(new Set(statuses), new Set([503]))
    assert.ok(most <= MAX_CONNECTIONS, `${most} connections`)
    const { status, reason } = await database()
    assert.deepEqual([status, reason], [503, 'the database did not answer in time'])
    assert.ok(service.log.some(({ level, msg }) => level === 'warn' && msg === 'the database takes no callbacks'))

    await standbyIs('')
    await until(async () => (await database()).status === 200, 3000)
    assert.equal((await finished(service.url, await accept(service.url, [9]))).state, 'completed')
    await until(async () => (await connections()) <= MAX_CONNECTIONS, 5000)
  })

  it('is noticed even without traffic', async () => {
    await start()
    await standbyIs('nobody')
    await until(async () => (await database()).status === 503, 5000 + 2 * STATEMENT_TIMEOUT_MS)
  })

  it('acknowledges no callback that is on one disk only, neither a repeated one nor one of the spool', async () => {
    await start()
    await accept(service.url, [1])
    await standbyIs('nobody')
    const key = { 'idempotency-key': 'once' }
    assert.equal((await postCallback(service.url, [1], key)).status, 503)
    await until(async () => (await db.query(`SELECT FROM callbacks WHERE idempotency_key = 'once'`)).rowCount === 1)
    assert.equal((await postCallback(service.url, [1], key)).status, 503)
    await standbyIs('')
    await until(async () => (await postCallback(service.url, [1], key)).status === 202)
  })

  /** Sends a callback that must go to the spool. @returns its id */
  async function spool(objectId: number): Promise<string> {
    const response = await postCallback(service.url, [objectId])
    assert.equal(response.status, 202)
    const { id, durability } = (await response.json()) as CallbackAnswer & { durability: string }
    assert.equal(durability, 'spooled')
    return id
  }

  it('keeps callbacks in the spool until it is back, each once', async () => {
    await start({ SPOOL_PATH: join(folder, 'spool.sqlite') })
    await standbyIs('nobody')
    const spooled = [await spool(0)]
    await until(async () => (await db.query('SELECT FROM callbacks')).rowCount === 1)
    // The service gave up on the insert, but the row is on one disk. The drain has tried more than once meanwhile.
    await sleep(2 * STATEMENT_TIMEOUT_MS)
    assert.equal((await readMetrics(service.adminUrl)).total('spool_callbacks'), 1)
    for (let i = 1; i < 10; i += 1) spooled.push(await spool(i))
    await standbyIs('')
    for (const id of spooled) assert.equal((await finished(service.url, id)).state, 'completed')
    assert.equal((await db.query('SELECT FROM callbacks')).rowCount, 10)
  })
})
