import assert from 'node:assert/strict'
import pg from 'pg'
import { accept, finished, postCallback } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { ServiceProcess } from '../support/service-process.ts'

const NOTICED_WITHIN_MS = 2000

describe('a PostgreSQL that only reads', function () {
  this.timeout(60_000)
  let server: PostgresServer
  let db: pg.Client
  let client: ServiceProcess
  let service: ServiceProcess

  before(async () => {
    server = await PostgresServer.start()
    const databaseUrl = await server.createDatabase('reading')
    db = new pg.Client({ connectionString: databaseUrl })
    await db.connect()
    client = await ServiceProcess.start('client-service', {
      EMITTER_ENABLED: 'false',
      LATENCY_MIN_MS: '1',
      LATENCY_MAX_MS: '5',
      ZIPKIN_URL: '',
    })
    service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: databaseUrl,
      CLIENT_SERVICE_URL: client.url,
      ZIPKIN_URL: '',
    })
    await service.ready()
  })

  after(async () => {
    await service?.stop()
    await client?.stop()
    await db?.end()
    await server.remove()
  })

  async function setReadOnly(value: 'on' | 'off'): Promise<void> {
    await db.query(`SET transaction_read_only = off`)
    await db.query(`ALTER SYSTEM SET default_transaction_read_only = ${value}`)
    await db.query('SELECT pg_reload_conf()')
  }

  const database = async (): Promise<{ status: number; reason: string | undefined }> => {
    const response = await fetch(`${service.url}/readyz`)
    const { checks } = (await response.json()) as { checks: { database: { reason?: string } } }
    return { status: response.status, reason: checks.database.reason }
  }

  it('is reported as read-only within two seconds, in the health answer and once in the log; work continues when it is writable', async () => {
    const before = await accept(service.url, [1])
    assert.equal((await finished(service.url, before)).state, 'completed')
    await setReadOnly('on')
    await until(async () => (await database()).status === 503, NOTICED_WITHIN_MS)
    assert.match((await database()).reason ?? '', /read-only/)
    for (let i = 0; i < 20; i += 1) assert.equal((await postCallback(service.url, [1])).status, 503)

    await setReadOnly('off')
    await until(async () => (await database()).status === 200, NOTICED_WITHIN_MS)
    assert.equal((await finished(service.url, await accept(service.url, [2]))).state, 'completed')

    const told = service.log.filter(({ reason }) => String(reason).includes('read-only')).map(({ level, msg }) => [level, msg])
    assert.deepEqual(told.toSorted(), [
      ['warn', 'a callback was not stored in the database'],
      ['warn', 'the database takes no callbacks'],
    ])
    assert.equal(service.log.filter(({ msg }) => msg.endsWith(' again')).length, 2)
  })
})
