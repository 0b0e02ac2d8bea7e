import assert from 'node:assert/strict'
import pg from 'pg'
import { accept, finished, postCallback } from '../support/callbacks.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { ServiceProcess } from '../support/service-process.ts'

const ANSWER_WITHIN_MS = 2000
const BACK_WITHIN_MS = 1000

describe('a PostgreSQL that comes and goes', function () {
  this.timeout(60_000)
  let server: PostgresServer
  let databaseUrl: string
  let client: ServiceProcess
  let service: ServiceProcess

  before(async () => {
    server = await PostgresServer.start()
    databaseUrl = await server.createDatabase('faults')
    client = await ServiceProcess.start('client-service', {
      EMITTER_ENABLED: 'false',
      LATENCY_MIN_MS: '1',
      LATENCY_MAX_MS: '5',
      ZIPKIN_URL: '',
    })
  })

  beforeEach(async () => {
    service = await start()
  })

  afterEach(() => service.stop())

  after(async () => {
    await client?.stop()
    await server.remove()
  })

  const start = (): Promise<ServiceProcess> =>
    ServiceProcess.start('callback-service', { DATABASE_URL: databaseUrl, CLIENT_SERVICE_URL: client.url, ZIPKIN_URL: '' })

  it('is killed and started again, three times: 503 in time, alive, not ready, and 202 within a second of its return', async () => {
    await service.ready()
    const accepted: string[] = []
    for (let round = 0; round < 3; round += 1) {
      accepted.push(await accept(service.url, [round]))
      await server.kill()
      await refused()
      await until(async () => (await fetch(`${service.url}/readyz`)).status === 503)
      assert.equal((await fetch(`${service.url}/livez`)).status, 200)
      await server.resume()
      accepted.push(await acceptedAgain())
    }
    for (const id of accepted) assert.equal((await finished(service.url, id)).state, 'completed')
    assert.equal(service.exitCode, null)
  })

  it('hangs with its connections open: 503 in time, and 202 within a second when it continues', async () => {
    await service.ready()
    await server.freeze()
    try {
      // The first callback uses the open connections. For the second there is none.
      await refused()
      await refused()
      assert.equal((await fetch(`${service.url}/livez`)).status, 200)
      assert.equal((await fetch(`${service.url}/readyz`)).status, 503)
    } finally {
      server.thaw()
    }
    assert.equal((await finished(service.url, await acceptedAgain())).state, 'completed')
  })

  it('has no connection left for us: 503 in time, and 202 within a second when it has', async () => {
    await service.stop()
    const others = await takeAllConnections()
    service = await start()
    await refused()
    assert.equal((await fetch(`${service.url}/livez`)).status, 200)
    await Promise.all(others.map(other => other.end()))
    assert.equal((await finished(service.url, await acceptedAgain())).state, 'completed')
  })

  async function refused(): Promise<void> {
    const asked = performance.now()
    const response = await postCallback(service.url, [1])
    assert.equal(response.status, 503)
    assert.equal(response.headers.get('retry-after'), '1')
    assert.ok(performance.now() - asked < ANSWER_WITHIN_MS, `${performance.now() - asked} ms`)
  }

  /** Sends callbacks like an impatient sender. @returns the id of the first one that is accepted */
  async function acceptedAgain(): Promise<string> {
    const back = performance.now()
    const response = await until(async () => {
      const answer = await postCallback(service.url, [1])
      return answer.ok ? answer : undefined
    })
    assert.ok(performance.now() - back < BACK_WITHIN_MS, `${performance.now() - back} ms`)
    return ((await response.json()) as { id: string }).id
  }

  async function takeAllConnections(): Promise<pg.Client[]> {
    const most = await withClient(databaseUrl, async db => Number((await db.query('SHOW max_connections')).rows[0].max_connections))
    const others: pg.Client[] = []
    for (let i = 0; i < most; i += 1) {
      const other = new pg.Client({ connectionString: databaseUrl })
      other.on('error', () => undefined)
      const isIn = await other.connect().then(
        () => true,
        () => false,
      )
      if (!isIn) return others
      others.push(other)
    }
    return others
  }
})
