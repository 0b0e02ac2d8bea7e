import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { accept, finished, postCallback, readMetrics } from '../support/callbacks.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { eventually, until } from '../support/eventually.ts'
import { Plant } from '../support/plant.ts'
import { ServiceProcess } from '../support/service-process.ts'

const GRANTS = fileURLToPath(new URL('../../deploy/grants.sql', import.meta.url))

describe('a database user with the rights of deploy/grants.sql', function () {
  this.timeout(60_000)
  const role = `answerback_service_${randomBytes(4).toString('hex')}`
  let database: TestDatabase
  let client: ServiceProcess
  let service: ServiceProcess

  const asOwner = (sql: string): Promise<unknown> => withClient(database.url, owner => owner.query(sql))

  before(async () => {
    database = await createTestDatabase()
    await asOwner(`REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE ${role} LOGIN PASSWORD 'test'`)
    client = await ServiceProcess.start('client-service', {
      EMITTER_ENABLED: 'false',
      LATENCY_MIN_MS: '1',
      LATENCY_MAX_MS: '5',
      ZIPKIN_URL: '',
    })
  })

  beforeEach(async () => {
    const grants = await readFile(GRANTS, 'utf8')
    await asOwner(grants.replaceAll('TO answerback_service', `TO ${role}`))
  })

  afterEach(() => service?.stop())

  after(async () => {
    await client?.stop()
    await asOwner(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    await database.drop()
  })

  function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
    const url = new URL(database.url)
    url.username = role
    url.password = 'test'
    return ServiceProcess.start('callback-service', {
      DATABASE_URL: url.href,
      CLIENT_SERVICE_URL: client.url,
      ZIPKIN_URL: '',
      EXPIRY_TTL_SECONDS: '0.2',
      FETCH_TIMEOUT_MS: '100',
      CALLBACKS_RETENTION_SECONDS: '1',
      ...env,
    })
  }

  const troubles = (): string[] =>
    service.log
      // The servers of the tests have fsync off.
      .filter(({ level, msg }) => (level === 'warn' || level === 'error') && msg !== 'accepted callbacks can be lost')
      .map(line => JSON.stringify(line))

  it('is enough to accept, process, read, expire, prune and record a step of the clock', async () => {
    service = await (await start()).ready()
    const id = await accept(service.url, [1, 2, 3])
    assert.equal((await finished(service.url, id)).state, 'completed')
    const gone = async (path: string): Promise<boolean> => (await fetch(`${service.url}${path}`)).status === 404
    await eventually('the objects have expired', () => gone('/v1/objects/2'))
    await eventually('they are deleted', async () => (await readMetrics(service.adminUrl)).total('objects_expired_total') === 3)
    await until(() => gone(`/v1/callbacks/${id}`))
    await asOwner(`SET ROLE ${role}; INSERT INTO clock_steps (number, step_ms) VALUES (1, 1) ON CONFLICT DO NOTHING RETURNING number`)
    assert.equal((await readMetrics(service.adminUrl)).total('worker_session'), 1)
    assert.deepEqual(troubles(), [])
  })

  it('is enough to make, assign and archive agents, to give and use leases, and to end those that lapse', async () => {
    service = await (await start({ AGENTS_LEASE_SECONDS: '1' })).ready()
    const plant = await Plant.open(service.url)
    const [{ id: agent }, { id: other }] = [await plant.newAgent('first'), await plant.newAgent('second')]
    const id = await plant.accept([1, 2])
    assert.equal((await plant.ask('PUT', `/v1/agents/${agent}/callbacks/${id}`)).status, 204)
    await plant.lease(agent)
    await until(async () => (await plant.callback(id)).state === 'pending')
    assert.equal((await plant.ask('DELETE', `/v1/agents/${agent}`)).status, 204)
    const lease = await plant.lease(other)
    assert.equal((await plant.deliver(lease)).status, 200)
    assert.equal((await plant.patch(lease, { state: 'completed' })).status, 200)
    assert.equal((await plant.ask('POST', `/v1/agents/${agent}/restore`)).status, 200)
    await eventually('what the agent did is counted', async () =>
      (await plant.ask('GET', `/v1/agents/${other}`)).text.includes('"objects_delivered":2,"callbacks_finished":1'),
    )
    assert.deepEqual(
      troubles().filter(line => line.includes('permission denied')),
      [],
    )
  })

  for (const right of [
    'INSERT ON callbacks',
    'UPDATE ON callbacks',
    'DELETE ON callbacks',
    'INSERT ON objects',
    'DELETE ON objects',
    'UPDATE ON workers',
    'SELECT ON clock_steps',
    'INSERT ON ledger_hours',
    'SELECT ON access_revision',
    'SELECT ON operations',
  ]) {
    it(`is not enough without ${right}, which the log says`, async () => {
      service = await (await start()).ready()
      const [, table] = right.split(' ON ')
      await accept(service.url, [1])
      await asOwner(`REVOKE ${right} FROM ${role}`)
      await postCallback(service.url, [2])
      // Some duties rest for five seconds.
      await until(() => troubles().some(line => line.includes(`permission denied for table ${table}`)))
    })
  }

  it('is not enough without the sequence of workers, which readiness, log and metric report', async () => {
    await asOwner(`REVOKE ALL ON SEQUENCE workers_number_seq FROM ${role}`)
    service = await start()
    const reason = 'permission denied for sequence workers_number_seq'
    await eventually('readiness says why', async () => (await (await fetch(`${service.url}/readyz`)).text()).includes(reason))
    assert.equal((await fetch(`${service.url}/readyz`)).status, 503)
    assert.ok(troubles().some(line => line.includes(reason)))
    assert.equal((await readMetrics(service.adminUrl)).total('worker_session'), 0)
    await asOwner(`GRANT USAGE ON SEQUENCE workers_number_seq TO ${role}`)
    await service.ready()
    assert.equal((await readMetrics(service.adminUrl)).total('worker_session'), 1)
  })
})
