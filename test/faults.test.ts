import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { accept, finished, patchConfig, postCallback, range, readCallback, readMetrics } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import { ServiceProcess } from './support/service-process.ts'
import { type System, startSystem } from './support/system.ts'

describe('faults', function () {
  this.timeout(60_000)
  let system: System

  beforeEach(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '100', LATENCY_MAX_MS: '1000' }, hasTraces: true })
  })

  afterEach(() => system.stop())

  it('finishes accepted callbacks after a kill -9 in the middle, and stores nothing twice', async () => {
    const id = await accept(system.callbackUrl, range(1, 100))
    const stored = await until(async () => {
      const { rows } = await system.db.query('SELECT id, stored_at FROM objects ORDER BY id')
      return rows.length > 20 ? rows : undefined
    })
    await system.callbackService.stop('SIGKILL')
    const again = await system.startCallbackService()
    const callback = await finished(again.url, id)
    assert.deepEqual([callback.state, callback.attempts], ['completed', 2])
    assert.ok(callback.objects.every(({ outcome }) => outcome === 'stored'))
    const { rows } = await system.db.query('SELECT id, stored_at FROM objects ORDER BY id')
    assert.equal(rows.length, 100)
    assert.deepEqual(
      rows.filter(row => stored.some(({ id }) => id === row.id)),
      stored,
    )
  })

  it('gives the callbacks of a killed replica to a living one at once', async () => {
    const other = await (await system.startCallbackService()).ready()
    await patchConfig(system.clientAdminUrl, { faults: { hangShare: 1 } })
    // The test kills the replica that has claimed the callback.
    const id = await accept(system.callbackUrl, range(1, 50))
    const { claimed_by } = await until(
      async () => (await system.db.query("SELECT claimed_by FROM callbacks WHERE state = 'running'")).rows[0],
    )
    const { pid } = (await system.db.query('SELECT pid FROM workers WHERE number = $1', [claimed_by])).rows[0]
    const [victim, heir] = system.callbackService.pid === pid ? [system.callbackService, other] : [other, system.callbackService]
    const killed = performance.now()
    await victim.stop('SIGKILL')
    await until(async () => (await readCallback(heir.url, id)).attempts === 2)
    assert.ok(performance.now() - killed < 1500, `taken over after ${performance.now() - killed} ms`)
    await patchConfig(system.clientAdminUrl, { faults: { hangShare: 0 } })
    assert.equal((await finished(heir.url, id)).state, 'completed')
  })

  it('takes over from a hanging replica when its lease expires, and lets it change nothing when it wakes', async () => {
    const hanging = await (await system.startCallbackService({ CLAIMS_LEASE_MS: '1500' })).ready()
    await system.callbackService.stop()
    const id = await accept(hanging.url, range(1, 50))
    await until(async () => (await readCallback(hanging.url, id)).state === 'running')
    hanging.signal('SIGSTOP')
    const other = await system.startCallbackService()
    const callback = await finished(other.url, id)
    const settled = (await system.db.query('SELECT state, attempts, finished_at, unstored FROM callbacks WHERE id = $1', [id])).rows
    hanging.signal('SIGCONT')
    await until(async () => (await readMetrics(hanging.adminUrl)).total('callbacks_running') === 0)
    assert.deepEqual(
      (await system.db.query('SELECT state, attempts, finished_at, unstored FROM callbacks WHERE id = $1', [id])).rows,
      settled,
    )
    assert.deepEqual([callback.state, callback.attempts], ['completed', 2])
  })

  it('gives unfinished callbacks back on SIGTERM, uncharged, and exits 0', async () => {
    await patchConfig(system.clientAdminUrl, { faults: { hangShare: 1 } })
    const id = await accept(system.callbackUrl, range(1, 50))
    await until(async () => (await readMetrics(system.callbackAdminUrl)).total('fetches_in_flight') === 50)
    const asked = performance.now()
    assert.equal(await system.callbackService.stop('SIGTERM'), 0)
    assert.ok(performance.now() - asked < 2500, `took ${performance.now() - asked} ms`)
    const { rows } = await system.db.query('SELECT state, attempts, claimed_by FROM callbacks WHERE id = $1', [id])
    assert.deepEqual(rows, [{ state: 'pending', attempts: 0, claimed_by: null }])
    await patchConfig(system.clientAdminUrl, { faults: { hangShare: 0 } })
    const again = await system.startCallbackService()
    assert.equal((await finished(again.url, id)).state, 'completed')
  })

  it('loses no request that was sent before SIGTERM', async () => {
    const { port } = new URL(system.callbackUrl)
    const sent = await Promise.all(range(0, 200).map(i => sendCallback(Number(port), i)))
    const stopped = system.callbackService.stop('SIGTERM')
    const answers = await Promise.all(sent.map(socket => text(socket)))
    assert.deepEqual(new Set(answers.map(answer => answer.split('\r\n')[0])), new Set(['HTTP/1.1 202 Accepted']))
    assert.equal(await stopped, 0)
    const { rows } = await system.db.query('SELECT count(*)::int AS count FROM callbacks')
    assert.equal(rows[0].count, 200)
  })

  it('finishes with a client service that fails in every possible way, and reports the outcome of each object', async () => {
    await patchConfig(system.clientAdminUrl, {
      latency: { minMs: 1, maxMs: 20 },
      faults: {
        errorShare: 0.07,
        notFoundShare: 0.07,
        garbageShare: 0.07,
        wrongIdShare: 0.07,
        resetShare: 0.07,
        hangShare: 0.02,
        dripShare: 0.02,
      },
    })
    await patchConfig(system.callbackAdminUrl, { fetch: { timeoutMs: 2000 } })
    const requests = async (): Promise<number> => (await readMetrics(system.callbackAdminUrl)).total('fetch_duration_seconds_count')
    const before = await requests()
    const ids = await Promise.all(range(0, 10).map(i => accept(system.callbackUrl, range(i * 100, 100))))
    for (const id of ids) {
      const callback = await finished(system.callbackUrl, id, 60_000)
      assert.equal(callback.state, 'completed')
      for (const { outcome } of callback.objects) assert.ok(['stored', 'not_found'].includes(outcome), outcome)
    }
    // One request in three fails, so a thousand objects need about 1,470 requests. No object is requested again after its answer.
    const asked = (await requests()) - before
    assert.ok(asked >= 1000 && asked < 2000, `${asked} requests`)
  })

  it('keeps accepting while the client service is down, sends only probes, fails nothing, and catches up afterwards', async () => {
    await patchConfig(system.clientAdminUrl, { faults: { down: true } })
    const ids = await Promise.all(range(0, 20).map(i => accept(system.callbackUrl, range(i * 10, 10))))
    await until(async () => (await readMetrics(system.callbackAdminUrl)).total('fetch_duration_seconds_count') >= 20)
    // The service notices the outage within a second. By then it has requested each object at most three times.
    await sleep(1000)
    const known = (await readMetrics(system.callbackAdminUrl)).total('fetch_duration_seconds_count')
    assert.ok(known <= 600, `${known} requests to a service that is down`)
    await sleep(8000)
    const probes = (await readMetrics(system.callbackAdminUrl)).total('fetch_duration_seconds_count') - known
    assert.ok(probes >= 4 && probes <= 10, `${probes} probes`)
    await patchConfig(system.clientAdminUrl, { latency: { minMs: 1, maxMs: 10 }, faults: { down: false } })
    const { rows } = await system.db.query('SELECT clock_timestamp() AS now')
    const callbacks = await Promise.all(ids.map(id => finished(system.callbackUrl, id, 30_000)))
    assert.ok(callbacks.every(({ state, attempts }) => state === 'completed' && attempts === 1))
    const first = Math.min(...callbacks.map(({ finished_at }) => Date.parse(finished_at as string)))
    // A second on a quiet machine: see the return of the client service, by a clock of its own, in the tests of the domain.
    assert.ok(first - rows[0].now < 5000, `the first callback was completed ${first - rows[0].now} ms after its return`)
  })

  it('leaves a client service alone that pushes everything back, charges nothing, and continues when it answers', async () => {
    await patchConfig(system.clientAdminUrl, {
      latency: { minMs: 1, maxMs: 10 },
      faults: { tooManyRequestsShare: 1, retryAfterSeconds: 3 },
    })
    const ids = await Promise.all(range(0, 10).map(i => accept(system.callbackUrl, range(i * 10, 10))))
    await sleep(7000)
    const asked = (await readMetrics(system.callbackAdminUrl)).total('fetch_duration_seconds_count')
    assert.ok(asked <= 300, `${asked} requests for 100 objects in 7 s, where 3 s of quiet were asked for`)
    await patchConfig(system.clientAdminUrl, { faults: { tooManyRequestsShare: 0 } })
    const callbacks = await Promise.all(ids.map(id => finished(system.callbackUrl, id)))
    assert.deepEqual(new Set(callbacks.map(({ state, attempts }) => `${state} ${attempts}`)), new Set(['completed 1']))
  })

  it('fails a callback, with its reasons, when its attempts are used up', async () => {
    const service = await system.startCallbackService({
      PROCESS_MAX_ATTEMPTS: '2',
      PROCESS_RETRY_BASE_MS: '50',
      FETCH_MAX_TRIES: '1',
    })
    await system.callbackService.stop()
    // Two objects that fail for five seconds, while no other is answered, would count as an outage.
    await patchConfig(system.clientAdminUrl, { latency: { minMs: 1, maxMs: 10 }, faults: { errorShare: 1 } })
    const callback = await finished(service.url, await accept(service.url, [1, 2]))
    assert.deepEqual([callback.state, callback.attempts], ['failed', 2])
    assert.deepEqual(
      callback.objects.map(({ outcome, reason }) => [outcome, reason]),
      [
        ['failed', 'http_500'],
        ['failed', 'http_500'],
      ],
    )
  })

  it('reports a database that is not migrated, is not ready, and continues when it is migrated', async () => {
    await system.callbackService.stop()
    await system.db.query(`ALTER TABLE _prisma_migrations RENAME TO hidden; ALTER TABLE callbacks RENAME TO hidden_callbacks`)
    const service = await system.startCallbackService()
    const health = await until(async () => {
      const answer = await fetch(`${service.url}/readyz`)
      const text = await answer.text()
      return text.includes('not migrated') ? { status: answer.status, text } : undefined
    })
    assert.equal(health.status, 503)
    assert.equal((await fetch(`${service.url}/livez`)).status, 200)
    assert.equal((await postCallback(service.url, [1])).status, 503)
    await system.db.query(`ALTER TABLE hidden RENAME TO _prisma_migrations; ALTER TABLE hidden_callbacks RENAME TO callbacks`)
    await until(async () => (await fetch(`${service.url}/readyz`)).status === 200)
    assert.equal((await finished(service.url, await accept(service.url, [1]))).state, 'completed')
  })

  it('starts while the database is away, but is not ready', async () => {
    const service = await ServiceProcess.start('callback-service', { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none', ZIPKIN_URL: '' })
    assert.equal((await fetch(`${service.url}/livez`)).status, 200)
    assert.equal((await fetch(`${service.url}/readyz`)).status, 503)
    const asked = performance.now()
    const response = await postCallback(service.url, [1])
    assert.equal(response.status, 503)
    assert.equal(response.headers.get('retry-after'), '1')
    assert.ok(performance.now() - asked < 2000)
    assert.equal(await service.stop(), 0)
  })
})

/** Resolves when the whole request is in the kernel. The caller must read the answer. */
async function sendCallback(port: number, objectId: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const body = JSON.stringify({ object_ids: [objectId] })
  const head = `POST /callback HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
  await new Promise(resolve => socket.write(head + body, resolve))
  return socket
}
