import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { heapSampling } from '#foundation/admin/profiles.ts'
import { Settings } from '#foundation/config/settings.ts'
import type { HttpServer } from '#foundation/http/server.ts'
import { Lifecycle } from '#foundation/lifecycle/parts.ts'
import { accept, finished, patchConfig, postCallback, range, readMetrics } from '../../../test/support/callbacks.ts'
import { eventually, until } from '../../../test/support/eventually.ts'
import { schema } from '../config.ts'
import { parts } from '../service.ts'
import type { Activity, Column, Fetches } from '../web/activity-types.ts'
import { putCallback, readCallback } from './adapters/postgres/stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from './adapters/postgres/test-storage.ts'

describe('the callback service, joined', () => {
  let storage: TestStorage
  let clientService: Server
  let answer: RequestListener
  let asked: number
  let service: Lifecycle | undefined

  before(async () => {
    storage = await openTestStorage()
    clientService = createServer((request, response) => {
      asked += 1
      answer(request, response)
    }).listen(0, '127.0.0.1')
    await once(clientService, 'listening')
  })

  beforeEach(() => {
    asked = 0
    answer = ({ url = '' }, response) => response.end(`{"id":${url.slice(url.lastIndexOf('/') + 1)},"online":true}`)
  })

  afterEach(async () => {
    await service?.stop()
    await storage.query('TRUNCATE callbacks, objects')
  })

  after(async () => {
    clientService.close()
    clientService.closeAllConnections()
    await storage.close()
  })

  const clientServiceUrl = (): string => `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`

  /** @returns where it and its admin port are */
  async function start(env: Record<string, string> = {}): Promise<{ url: string; adminUrl: string }> {
    const settings = new Settings(schema, {
      argv: [],
      env: {
        DATABASE_URL: storage.url,
        CLIENT_SERVICE_URL: clientServiceUrl(),
        ZIPKIN_URL: '',
        HTTP_PORT: '0',
        ADMIN_PORT: '0',
        SHUTDOWN_DELAY_MS: '0',
        ...env,
      },
    })
    // It begins once in a process, and never ends.
    const all = parts({ settings, logger }).filter(part => part !== heapSampling)
    service = new Lifecycle(all, () => undefined)
    await service.start()
    const urlOf = (name: string): string => `http://127.0.0.1:${(all.find(part => part.name === name) as HttpServer).port}`
    return { url: urlOf('http'), adminUrl: urlOf('admin') }
  }

  it('serves superusers alone as soon as it has a key of one, and says so in its document', async () => {
    const key = 'superuser-'.repeat(4)
    const { url } = await start({ ACCESS_SUPERUSER_KEYS: key })
    const statusOf = async (headers: Record<string, string>): Promise<number> => (await fetch(`${url}/v1/objects`, { headers })).status
    assert.deepEqual(
      [await statusOf({}), await statusOf({ 'x-api-key': `${key}x` }), await statusOf({ 'x-api-key': key })],
      [401, 401, 200],
    )
    const document = (await (await fetch(`${url}/v1/openapi.json`)).json()) as { paths: Record<string, { post: { security: object[] } }> }
    assert.deepEqual(document.paths['/callback']?.post.security, [{ bearer: [] }, { apiKey: [] }, { apiKeyInQuery: [] }])
  })

  it('tells the traffic at the admin port: a superuser that of all workspaces, a key that of its own', async () => {
    const superuser = 'superuser-'.repeat(4)
    const { url, adminUrl } = await start({ ACCESS_SUPERUSER_KEYS: superuser, ACCESS_MODE: 'keys' })
    const create = async (path: string, body: object) => {
      const headers = { 'x-api-key': superuser, 'content-type': 'application/json' }
      return (await (await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as { key: string }
    }
    await create('/v1/workspaces', { name: 'traffic' })
    const { key } = await create('/v1/workspaces/traffic/keys', { role: 'read' })
    const seen = async (from: string, headers: Record<string, string>) => {
      const response = await fetch(`${from}/v1/traffic?sort=name`, { headers })
      const { workspaces } = (await response.json()) as { workspaces?: { workspace: string }[] }
      return [response.status, workspaces?.map(({ workspace }) => workspace)]
    }
    assert.deepEqual(await seen(adminUrl, { 'x-api-key': superuser }), [200, ['default', 'traffic']])
    assert.deepEqual(await seen(adminUrl, { 'x-api-key': key }), [200, ['traffic']])
    assert.deepEqual(await seen(adminUrl, {}), [401, undefined])
    assert.deepEqual(await seen(url, { 'x-api-key': key }), [404, undefined])
  })

  it('neither accepts nor works on callbacks before it has read the workspaces, because default may need signatures or be paused', async () => {
    await storage.query(`UPDATE workspaces SET signing_secrets = '{${'A'.repeat(32)}}', paused = true`)
    const id = await putCallback(storage, { objectIds: [1n] })
    await storage.query('ALTER TABLE access_keys RENAME TO away')
    try {
      const { url } = await start({ PROCESS_POLL_MS: '5' })
      const post = async (): Promise<number> => (await postCallback(url, [1])).status
      const statusOf = async (check: string): Promise<string | undefined> => {
        const { checks } = (await (await fetch(`${url}/readyz`)).json()) as { checks: Record<string, { status: string }> }
        return checks[check]?.status
      }
      await eventually('it has its worker session', async () => (await statusOf('worker')) === 'ok')
      await eventually('it says that it cannot read them', async () => (await statusOf('access')) === 'failing')
      assert.equal((await fetch(`${url}/readyz`)).status, 503)
      assert.equal(await post(), 503)
      await storage.query('ALTER TABLE away RENAME TO access_keys')
      assert.equal(await post(), 401)
      assert.deepEqual([(await readCallback(storage, id)).attempts, asked], [0, 0])
    } finally {
      await storage.query('ALTER TABLE IF EXISTS away RENAME TO access_keys')
      await storage.query(`UPDATE workspaces SET signing_secrets = '{}', paused = false`)
    }
  })

  it('keeps callbacks as long as a signature is valid while the senders of a workspace sign, whatever retention is set', async () => {
    await storage.query(`UPDATE workspaces SET signing_secrets = '{${'A'.repeat(32)}}'`)
    const young = await putCallback(storage, { finishedAgoMs: 590_000 })
    const old = await putCallback(storage, { finishedAgoMs: 610_000 })
    try {
      const { url } = await start({ CALLBACKS_RETENTION_SECONDS: '1' })
      const statusOf = async (id: string): Promise<number> => (await fetch(`${url}/v1/callbacks/${id}`)).status
      await eventually('the old callback is deleted', async () => (await statusOf(old)) === 404)
      assert.equal(await statusOf(young), 200)
    } finally {
      await storage.query(`UPDATE workspaces SET signing_secrets = '{}'`)
    }
  })

  it('keeps as many requests to the client service under way as the settings say, also after a change', async () => {
    const held: (() => void)[] = []
    const atOnce = answer
    answer = (request, response) => held.push(() => atOnce(request, response))
    const { url, adminUrl } = await start({ FETCH_CONCURRENCY: '1' })
    const id = await accept(url, range(1, 3))
    await eventually('one request is under way', () => asked === 1)
    await patchConfig(adminUrl, { fetch: { concurrency: 3 } })
    await eventually('three requests are under way', () => asked === 3)
    for (const release of held) release()
    assert.equal((await finished(url, id)).state, 'completed')
  })

  for (const [what, maxBaggageBytes, outcomeOfSender] of [
    ['passes on so much baggage that the client service refuses its requests, and nothing of another sender fails', '16000', 'failed'],
    ['passes on no more baggage than most servers allow', undefined, 'stored'],
  ] as const) {
    it(what, async () => {
      const well = answer
      const bothRun = Promise.withResolvers<void>()
      answer = async (request, response) => {
        await bothRun.promise
        if ((request.headers['baggage']?.length ?? 0) > 8000) response.writeHead(431).end()
        else well(request, response)
      }
      // Eleven of the first twenty requests leave; the second callback shares the other nine.
      const { url, adminUrl } = await start({
        FETCH_CONCURRENCY: '11',
        ...(maxBaggageBytes && { CLIENT_SERVICE_MAX_BAGGAGE_BYTES: maxBaggageBytes }),
      })
      const baggage = Array.from({ length: 90 }, (_, i) => `k${i}=${'x'.repeat(95)}`).join()
      const ids = [await accept(url, range(1, 20), { baggage }), await accept(url, range(1, 20))]
      await eventually('both run', async () => (await readMetrics(adminUrl)).total('callbacks_running') === 2)
      bothRun.resolve()
      const [sender, another] = await Promise.all(ids.map(async id => (await finished(url, id)).objects.map(({ outcome }) => outcome)))
      assert.deepEqual([new Set(sender), new Set(another)], [new Set([outcomeOfSender]), new Set(['stored'])])
    })
  }

  it('honours a Retry-After for as long as the settings say, in milliseconds', async () => {
    const well = answer
    answer = (_request, response) => {
      answer = well
      response.writeHead(429, { 'retry-after': '60' }).end()
    }
    const { url } = await start({ FETCH_MAX_RETRY_AFTER_MS: '100' })
    const id = await accept(url, [1])
    assert.equal((await finished(url, id, 5000)).state, 'completed')
    assert.equal(asked, 2)
  })

  it('keeps callbacks for as long as a signed callback of a workspace can be sent again, whatever the setting says', async () => {
    await storage.query(`INSERT INTO workspaces (name, signing_secrets) VALUES ('signed', ARRAY['${'x'.repeat(32)}'])`)
    await storage.query('UPDATE access_revision SET number = number + 1')
    const [young, old] = [await putCallback(storage, { finishedAgoMs: 500_000 }), await putCallback(storage, { finishedAgoMs: 700_000 })]
    await start({ CALLBACKS_RETENTION_SECONDS: '1' })
    const left = async () => (await storage.query<{ id: string }>('SELECT id FROM callbacks')).map(({ id }) => id)
    await eventually('the old one is deleted', async () => !(await left()).includes(old))
    assert.deepEqual(await left(), [young])
    await storage.query(`DELETE FROM workspaces WHERE name = 'signed'; UPDATE access_revision SET number = number + 1`)
  })

  it('measures in seconds how late objects expired and how long callbacks waited', async () => {
    await storage.query(
      `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id)
       SELECT 1, true, t, t, t, gen_random_uuid() FROM (SELECT now() - interval '30 s' AS t) past`,
    )
    const id = await putCallback(storage, { objectIds: [] })
    await storage.query(`UPDATE callbacks SET received_at = now() - interval '30 s' WHERE id = $1`, [id])
    const { url, adminUrl } = await start()
    await finished(url, id)
    for (const histogram of ['objects_expiry_lateness_seconds', 'callbacks_queue_seconds']) {
      await eventually(histogram, async () => (await readMetrics(adminUrl)).total(`${histogram}_count`) === 1)
      const seconds = (await readMetrics(adminUrl)).total(`${histogram}_sum`)
      assert.ok(seconds >= 30 && seconds < 300, `${histogram}: ${seconds} s`)
    }
  })

  const postAndWait = (url: string, seconds: number): Promise<Response> =>
    fetch(`${url}/callback`, {
      method: 'POST',
      body: '{"object_ids":[1]}',
      headers: { 'content-type': 'application/json', prefer: `wait=${seconds}` },
    })

  it('answers a sender that waits as soon as the callback is finished', async () => {
    const { url } = await start()
    const response = await postAndWait(url, 30)
    assert.deepEqual([response.status, response.headers.get('preference-applied')], [200, 'wait=30'])
    const callback = (await response.json()) as { href: string; state: string }
    assert.equal(callback.state, 'completed')
    assert.deepEqual(callback, await (await fetch(url + callback.href)).json())
  })

  it('answers a reader that waits when another replica finishes the callback', async () => {
    const { url, adminUrl } = await start()
    const id = await putCallback(storage, { dueInMs: 3_600_000 })
    const answer = fetch(`${url}/v1/callbacks/${id}?wait=30`)
    await eventually('it waits', async () => (await readMetrics(adminUrl)).total('requests_waiting') === 1)
    const started = performance.now()
    await storage.query(`UPDATE callbacks SET state = 'cancelled', finished_at = clock_timestamp() WHERE id = $1`, [id])
    assert.equal(((await (await answer).json()) as { state: string }).state, 'cancelled')
    assert.ok(performance.now() - started < 1500)
  })

  it('answers those that wait before its port drains', async () => {
    answer = () => undefined
    const { url, adminUrl } = await start({ SHUTDOWN_DELAY_MS: '2000' })
    const answered = postAndWait(url, 30)
    await eventually('it waits', async () => (await readMetrics(adminUrl)).total('requests_waiting') === 1)
    const started = performance.now()
    const stopped = service?.stop()
    assert.equal((await answered).status, 202)
    assert.ok(performance.now() - started < 1500)
    await stopped
  })

  it('forecasts for a callback what the ones before it took', async () => {
    answer = ({ url = '' }, response) => setTimeout(() => response.end(`{"id":${url.slice(url.lastIndexOf('/') + 1)},"online":true}`), 400)
    const { url } = await start()
    for (const ids of [[1], [2], [3]]) await finished(url, await accept(url, ids))
    const { backlog, eta_ms } = (await (await postCallback(url, [4])).json()) as { backlog: number; eta_ms: number }
    assert.equal(backlog, 0)
    assert.ok(eta_ms >= 400 && eta_ms < 1000, `${eta_ms}`)
  })

  it('shows at its admin port what it did, and the fetches of a callback', async () => {
    answer = ({ url = '' }, response) =>
      url.endsWith('/2') ? response.writeHead(404).end() : response.end(`{"id":${url.slice(url.lastIndexOf('/') + 1)},"online":true}`)
    const { url, adminUrl } = await start({ FETCH_CONCURRENCY: '7' })
    const id = await accept(url, [1, 2])
    await finished(url, id)
    const activity = await until(async () => {
      const body = (await (await fetch(`${adminUrl}/activity`)).json()) as Activity
      const sums = [body.columns.accepted, body.columns.completed, body.columns.fetches_done].map(column => Math.round(sumOf(column)))
      return sums.join() === '1,1,2' ? body : undefined
    })
    assert.ok(sumOf(activity.columns.accept_p99_ms) > 0)
    assert.deepEqual(
      activity.lights.map(({ name, state }) => `${name} ${state}`),
      // The servers of the tests have fsync off.
      ['postgres warn', 'client_service ok', 'processing ok', 'spool unknown', 'zipkin unknown', 'process ok'],
    )
    assert.deepEqual([activity.now.replicas, activity.now.fetch_concurrency, activity.now.worker.problem], [1, 7, null])
    const fetches = (await (await fetch(`${adminUrl}/v1/callbacks/${id}/fetches`)).json()) as Fetches
    assert.deepEqual(
      fetches.fetches.map(({ id: object, attempt, result }) => [Number(object), attempt, result]),
      [
        [1, 1, 'stored'],
        [2, 1, 'not_found'],
      ],
    )
    assert.deepEqual([fetches.is_complete, fetches.replica.pid], [true, process.pid])
    assert.equal((await fetch(`${adminUrl}/v1/callbacks/${id}/fetches?workspace_id=shop`)).status, 404)
    assert.equal((await fetch(`${url}/activity`)).status, 404)
  })

  it('shows fetches to those who may read, and its activity to operators without a key', async () => {
    const key = 'superuser-'.repeat(4)
    const { adminUrl } = await start({ ACCESS_SUPERUSER_KEYS: key })
    const path = `${adminUrl}/v1/callbacks/${crypto.randomUUID()}/fetches`
    const statuses = [fetch(path), fetch(path, { headers: { 'x-api-key': key } }), fetch(`${adminUrl}/activity`)]
    assert.deepEqual(
      (await Promise.all(statuses)).map(({ status }) => status),
      [401, 404, 200],
    )
  })

  it('shows in its activity that the client service is down, and that Postgres is', async () => {
    answer = request => request.socket.destroy()
    const { url, adminUrl } = await start()
    await accept(url, range(1, 100))
    const lightOf = async (wanted: string): Promise<string> => {
      const { lights, now } = (await (await fetch(`${adminUrl}/activity`)).json()) as Activity
      const { state, text } = lights.find(({ name }) => name === wanted) ?? assert.fail(wanted)
      return `${state} ${now.client_services.map(({ workspace, state }) => `${workspace} ${state}`)} ${text}`
    }
    await until(async () => /^bad default (open|half_open) The client service does not answer/.test(await lightOf('client_service')))
    await storage.query('ALTER TABLE callbacks RENAME TO away')
    try {
      await until(async () => (await lightOf('postgres')).startsWith('bad'))
    } finally {
      await storage.query('ALTER TABLE away RENAME TO callbacks')
    }
    await until(async () => /^warn .*Postgres takes callbacks/.test(await lightOf('postgres')))
  })

  it('ends with the admin port, the port for senders and NodeSDK, which delays neither port; metrics outlive the port for senders', () => {
    const settings = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url } })
    const names = parts({ settings, logger }).map(({ name }) => name)
    const last = ['admin', 'http', 'waiting requests', 'waiting changes', 'waiting agents', 'web-sockets', 'sending of spans']
    assert.deepEqual(names.slice(-last.length), last)
  })
})

function sumOf(column: Column): number {
  return column.reduce<number>((sum, value) => sum + (value ?? 0), 0)
}
