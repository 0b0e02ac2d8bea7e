import assert from 'node:assert/strict'
import pg from 'pg'
import { accept, finished, patchConfig, postCallback, range, readMetrics } from './support/callbacks.ts'
import { checkAnswers } from './support/check-answers.ts'
import { until } from './support/eventually.ts'
import { callbackPortRoutes, documentOf } from './support/routes.ts'
import { type Addresses, type System, startSystem } from './support/system.ts'

/**
 * Tests what users rely on, from outside, with HTTP and SQL only. It starts its own services. With INTEGRATION=1 it uses running services
 * (`make run`, `make compose`), whose addresses come from the environment.
 */
describe('end to end', function () {
  this.timeout(60_000)
  const isIntegration = process.env['INTEGRATION'] === '1'
  let at: Addresses
  let system: System | undefined
  let db: pg.Client
  let usual: Config | undefined

  before(async () => {
    if (isIntegration) {
      at = addressesFromEnvironment()
      checkAnswers(at.callbackUrl, await documentOf(callbackPortRoutes()))
      // Whoever has just typed `make run` need not wait before typing this.
      for (const url of [`${at.callbackUrl}/readyz`, `${at.clientUrl}/`]) await until(() => isOk(url), 30_000, `${url} answers`)
      db = new pg.Client({ connectionString: at.databaseUrl })
      await db.connect()
    } else {
      system = await startSystem({ hasTraces: true })
      at = system
      db = system.db
    }
    // Answers are fast and objects expire soon, so that a test sees them expire. Running services get their own settings back.
    usual = await readConfig(at)
    await patchConfig(at.clientAdminUrl, { latency: { minMs: 5, maxMs: 50 } })
    await patchConfig(at.callbackAdminUrl, { expiry: { ttlSeconds: 2 } })
  })

  after(async () => {
    if (isIntegration) {
      await db?.end()
      if (usual) {
        await patchConfig(at.clientAdminUrl, { latency: usual.latency })
        await patchConfig(at.callbackAdminUrl, { expiry: usual.expiry })
      }
    }
    await system?.stop()
  })

  it('answers health questions', async () => {
    for (const path of ['/', '/livez', '/readyz']) assert.equal((await fetch(`${at.callbackUrl}${path}`)).status, 200, path)
    assert.equal((await fetch(`${at.clientUrl}/`)).status, 200)
  })

  it('fetches every object of a callback and stores it', async () => {
    const ids = range(1000, 50)
    const callback = await finished(at.callbackUrl, await accept(at.callbackUrl, ids))
    assert.equal(callback.state, 'completed')
    assert.deepEqual(
      callback.objects.map(({ id, outcome }) => [id, outcome]),
      ids.map(id => [id, 'stored']),
    )
    const { rows } = await db.query(
      'SELECT id::int, online, last_seen_at, stored_at, expires_at FROM objects WHERE callback_id = $1 ORDER BY id',
      [callback.id],
    )
    assert.equal(rows.length, 50)
    for (const row of rows) {
      assert.equal(row.online, row.id % 2 === 0)
      assert.deepEqual(row.last_seen_at, row.online ? row.stored_at : null)
      assert.equal(row.expires_at - row.stored_at, 2000)
    }
  })

  it('keeps ids beyond 2^53 exact from the body to the client service, the database and the answers', async () => {
    const id = await accept(at.callbackUrl, ['9007199254740993'])
    await finished(at.callbackUrl, id)
    const text = await (await fetch(`${at.callbackUrl}/v1/objects/9007199254740993`)).text()
    assert.match(text, /"id":9007199254740993,"online":false/)
    assert.deepEqual((await db.query('SELECT id FROM objects WHERE callback_id = $1', [id])).rows, [{ id: '9007199254740993' }])
  })

  it('completes a callback that names nothing', async () => {
    const callback = await finished(at.callbackUrl, await accept(at.callbackUrl, []))
    assert.deepEqual([callback.state, callback.objects], ['completed', []])
  })

  it('deletes each object when it expires, not before and at once after', async () => {
    await accept(at.callbackUrl, range(2000, 20)).then(id => finished(at.callbackUrl, id))
    const due = new Map<string, number>()
    const gone = new Map<string, number>()
    await until(async () => {
      const { rows } = await db.query(
        'SELECT id, extract(epoch FROM expires_at) * 1000 AS due, extract(epoch FROM clock_timestamp()) * 1000 AS now FROM objects WHERE id BETWEEN 2000 AND 2019',
      )
      const now = Number((await db.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')).rows[0].now)
      for (const row of rows) due.set(row.id, Number(row.due))
      for (const id of due.keys()) if (!rows.some(row => row.id === id) && !gone.has(id)) gone.set(id, now)
      return gone.size === 20
    })
    for (const [id, at] of gone) {
      const lateMs = at - (due.get(id) as number)
      assert.ok(lateMs >= 0 && lateMs < 250, `object ${id} went ${lateMs} ms late`)
    }
  })

  it('gives an object its full ttl again when it is received again', async () => {
    await accept(at.callbackUrl, [3000]).then(id => finished(at.callbackUrl, id))
    const first = (await db.query('SELECT stored_at FROM objects WHERE id = 3000')).rows[0].stored_at as Date
    await accept(at.callbackUrl, [3000]).then(id => finished(at.callbackUrl, id))
    const { rows } = await db.query('SELECT stored_at, expires_at FROM objects WHERE id = 3000')
    assert.ok(rows[0].stored_at > first)
    assert.equal(rows[0].expires_at - rows[0].stored_at, 2000)
  })

  it('repeats the first answer for the same idempotency key, and refuses other ids under it', async () => {
    const key = { 'idempotency-key': `test-${Date.now()}` }
    const answers = await Promise.all(range(0, 20).map(() => postCallback(at.callbackUrl, [4000], key)))
    const bodies = new Set(await Promise.all(answers.map(async answer => withoutForecast(await answer.text()))))
    assert.deepEqual([bodies.size, new Set(answers.map(answer => answer.status))], [1, new Set([202])])
    const other = await postCallback(at.callbackUrl, [4001], key)
    assert.deepEqual([other.status, ((await other.json()) as { code: string }).code], [422, 'idempotency_key_reused'])
  })

  it('pages through the objects that are online', async () => {
    await accept(at.callbackUrl, range(5000, 10)).then(id => finished(at.callbackUrl, id))
    const seen: number[] = []
    let last: string | undefined
    for (let next: string | undefined = '/v1/objects?online=true&limit=2'; next; ) {
      const page = await readPage(at, next)
      seen.push(...page.items.map(item => item.id))
      last = next
      next = page.next
    }
    assert.deepEqual(
      seen.filter(id => id >= 5000 && id < 5010),
      [5000, 5002, 5004, 5006, 5008],
    )
    const { prev } = await readPage(at, last as string)
    assert.ok(prev && (await readPage(at, prev)).items.length > 0)
  })

  it('lists callbacks, the newest first, by object, state and time', async () => {
    const ids = [await accept(at.callbackUrl, [7000]), await accept(at.callbackUrl, [7000, 7001]), await accept(at.callbackUrl, [7001])]
    for (const id of ids) await finished(at.callbackUrl, id)
    const [first, second] = ids
    const since = (await (await fetch(`${at.callbackUrl}/v1/callbacks/${first}`)).json()) as { received_at: string }
    const query = `object_id=7000&state=completed&received_after=${encodeURIComponent(since.received_at)}`
    const page = await readPage(at, `/v1/callbacks?${query}&limit=1`)
    const rest = await readPage(at, page.next ?? assert.fail('there is no second page'))
    assert.deepEqual([...page.items, ...rest.items].map(({ id }) => id) as unknown[], [second, first])
  })

  it('counts what it does', async () => {
    const before = await readMetrics(at.callbackAdminUrl)
    await accept(at.callbackUrl, range(6000, 5)).then(id => finished(at.callbackUrl, id))
    const after = await readMetrics(at.callbackAdminUrl)
    for (const [name, atLeast] of [
      ['callbacks_received_total', 1],
      ['callbacks_settled_total', 1],
      ['fetch_duration_seconds_count', 5],
      ['objects_stored_total', 5],
      ['accept_commit_seconds_count', 1],
    ] as const) {
      assert.ok(after.total(name) - before.total(name) >= atLeast, name)
    }
  })
})

interface Page {
  readonly items: readonly { readonly id: number; readonly online: boolean }[]
  readonly next?: string
  readonly prev?: string
}

async function readPage(at: Addresses, path: string): Promise<Page> {
  const response = await fetch(`${at.callbackUrl}${path}`)
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text) as Page
}

interface Config {
  readonly latency: object
  readonly expiry: object
}

async function readConfig(at: Addresses): Promise<Config> {
  const read = async (adminUrl: string): Promise<Config> => (await (await fetch(`${adminUrl}/config`)).json()) as Config
  return { latency: (await read(at.clientAdminUrl)).latency, expiry: (await read(at.callbackAdminUrl)).expiry }
}

async function isOk(url: string): Promise<boolean> {
  return fetch(url).then(
    response => response.ok,
    () => false,
  )
}

function addressesFromEnvironment(): Addresses {
  const { env } = process
  return {
    callbackUrl: env['CALLBACK_URL'] ?? 'http://127.0.0.1:9090',
    callbackAdminUrl: env['CALLBACK_ADMIN_URL'] ?? 'http://127.0.0.1:6060',
    clientUrl: env['CLIENT_URL'] ?? 'http://127.0.0.1:9010',
    clientAdminUrl: env['CLIENT_ADMIN_URL'] ?? 'http://127.0.0.1:6061',
    databaseUrl: env['DATABASE_URL'] ?? assert.fail('set DATABASE_URL to the database of the running services'),
  }
}

/** A replay has no forecast: its callback may be finished. */
function withoutForecast(answer: string): string {
  return JSON.stringify({ ...JSON.parse(answer), backlog: null, eta_ms: null })
}
