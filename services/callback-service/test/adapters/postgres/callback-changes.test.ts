import assert from 'node:assert/strict'
import pg from 'pg'
import { Prisma, type PrismaClient } from '#prisma'
import { CallbackChanges } from '../../../adapters/postgres/callback-changes.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const ALL = { workspace: 'default', fromUs: 0, seen: undefined, watched: [], limit: 1000 }

describe('CallbackChanges', () => {
  let storage: TestStorage
  let changes: CallbackChanges
  let sessions: pg.Client[]

  before(async () => {
    storage = await openTestStorage()
    changes = new CallbackChanges({ prisma: storage.open().prisma })
  })

  beforeEach(async () => {
    sessions = []
    await storage.query('TRUNCATE callbacks, clock_steps')
  })

  afterEach(() => Promise.all(sessions.map(session => session.end())))

  after(() => storage.close())

  async function session(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: storage.url })
    await client.connect()
    sessions.push(client)
    return client
  }

  const idsOf = ({ callbacks }: { callbacks: readonly { id: string }[] }): string[] => callbacks.map(({ id }) => id).toSorted()

  const set = (id: string, what: string) => storage.query(`UPDATE callbacks SET ${what} WHERE id = $1`, [id])

  /** Reads what is new since a snapshot of now. */
  async function follow() {
    const { nowUs } = await changes.look()
    const { snapshot } = await changes.read(ALL)
    return { fromUs: nowUs - 1_000_000, seen: snapshot }
  }

  for (const [fact, what] of [
    ['was claimed', `state = 'running', claimed_by = 7, attempts = 1`],
    ['finished', `state = 'completed', finished_at = clock_timestamp()`],
    ['waits for its next attempt', `due_at = clock_timestamp() + interval '1 hour', unstored = '[]'`],
    ['was given back', `due_at = clock_timestamp()`],
    ['was paused', `state = 'paused', steered_at = clock_timestamp()`],
    ['was cancelled', `state = 'cancelled', finished_at = clock_timestamp(), steered_at = clock_timestamp()`],
    ['got another priority', `priority = 5, steered_at = clock_timestamp()`],
  ] as const) {
    it(`finds a callback that ${fact}, once`, async () => {
      const id = await putCallback(storage, { dueInMs: -60_000 })
      await putCallback(storage, { dueInMs: -60_000 })
      await putCallback(storage, { dueInMs: -60_000, finishedAgoMs: 50_000 })
      const from = await follow()
      await set(id, what)
      const found = await changes.read({ ...ALL, ...from })
      assert.deepEqual(idsOf(found), [id])
      assert.deepEqual(idsOf(await changes.read({ ...ALL, ...from, seen: found.snapshot })), [])
    })
  }

  it('finds a callback that came out of a spool with an old due time', async () => {
    const from = await follow()
    const id = await putCallback(storage, { dueInMs: -3_600_000 })
    await set(id, 'steered_at = clock_timestamp()')
    assert.deepEqual(idsOf(await changes.read({ ...ALL, ...from })), [id])
  })

  it('finds no callback of another workspace', async () => {
    await putCallback(storage, { workspace: 'shop' })
    await putCallback(storage, { workspace: 'shop', finishedAgoMs: 1 })
    const running = await putCallback(storage, { workspace: 'shop' })
    await set(running, `state = 'running', steered_at = clock_timestamp()`)
    assert.deepEqual(idsOf(await changes.read(ALL)), [])
    assert.deepEqual(idsOf(await changes.unfinished(ALL)), [])
  })

  it('does not miss a change that commits late: the horizon waits for it', async () => {
    const id = await putCallback(storage, { dueInMs: -60_000 })
    const late = await session()
    await late.query('BEGIN')
    await late.query(`UPDATE callbacks SET state = 'completed', finished_at = clock_timestamp() WHERE id = $1`, [id])
    const look = await changes.look()
    const before = await changes.read({ ...ALL, fromUs: look.horizonUs })
    assert.deepEqual(idsOf(before), [])
    const { rows } = await late.query(`SELECT (extract(epoch FROM now()) * 1000000)::float8 AS began_us`)
    assert.ok(look.horizonUs <= rows[0].began_us)
    await late.query('COMMIT')
    assert.deepEqual(idsOf(await changes.read({ ...ALL, fromUs: look.horizonUs, seen: before.snapshot })), [id])
  })

  it('has a horizon that is far enough back even if the server does not track its transactions', async () => {
    const set = async (value: string) => storage.query(`ALTER DATABASE ${new URL(storage.url).pathname.slice(1)} ${value}`)
    await set('SET track_activities = off')
    try {
      const late = await session()
      await late.query('BEGIN')
      const { rows } = await late.query(`SELECT (extract(epoch FROM now()) * 1000000)::float8 AS began_us`)
      const { horizonUs } = await new CallbackChanges({ prisma: storage.open().prisma }).look()
      assert.ok(horizonUs <= rows[0].began_us)
    } finally {
      await set('RESET track_activities')
    }
  })

  it('has a horizon that a forgotten transaction holds up for 7 s, not longer', async () => {
    const forgotten = await session()
    await forgotten.query('BEGIN')
    await forgotten.query('SELECT 1')
    await storage.query(`SELECT pg_sleep(0.05)`)
    const { nowUs, horizonUs } = await changes.look()
    assert.ok(nowUs - horizonUs >= 50_000, `${nowUs - horizonUs} µs`)
    assert.ok(nowUs - horizonUs <= 7_000_000)
  })

  it('has a horizon at the present if nobody else is at work', async () => {
    const { nowUs, horizonUs } = await changes.look()
    assert.equal(horizonUs, nowUs)
  })

  it('says the number of the last step of the clock', async () => {
    assert.equal((await changes.look()).clockStep, 0)
    await storage.query('INSERT INTO clock_steps (number, step_ms) VALUES (3, -5000)')
    assert.equal((await changes.look()).clockStep, 3)
  })

  it('goes on where the limit has cut it short, over a hundred priorities', async () => {
    const ids: string[] = []
    for (let i = 0; i < 300; i += 1) ids.push(await putCallback(storage, { priority: (i % 100) - 50, dueInMs: i }))
    for (let i = 0; i < 20; i += 1) ids.push(await putCallback(storage, { finishedAgoMs: i }))
    const found = new Set<string>()
    let pages = 0
    for (let fromUs: number | undefined = 0; fromUs !== undefined; pages += 1) {
      const page = await changes.read({ ...ALL, fromUs, limit: 2 })
      for (const { id } of page.callbacks) found.add(id)
      fromUs = page.moreFromUs
      assert.ok(pages < 400)
    }
    assert.deepEqual([...found].toSorted(), ids.toSorted())
    assert.ok(pages > 1)
  })

  it('knows the versions of rows whose transactions are 2^32 apart from none', async () => {
    const id = await putCallback(storage)
    const { snapshot } = await changes.read(ALL)
    assert.match(snapshot, /^\d+:\d+:/)
    assert.deepEqual(idsOf(await changes.read({ ...ALL, seen: '3:3:' })), [id])
  })

  it('says which of the watched objects a callback names, with all digits', async () => {
    const objectIds = [7n, 9_007_199_254_740_993n]
    await putCallback(storage, { objectIds })
    await putCallback(storage, { objectIds: [8n] })
    const { callbacks } = await changes.read({ ...ALL, watched: [9_007_199_254_740_993n, 5n] })
    assert.deepEqual(callbacks.map(({ watched, objectCount }) => [objectCount, watched]).toSorted(), [
      [1, []],
      [2, [9_007_199_254_740_993n]],
    ])
  })

  it('returns the unfinished callbacks that came last, the newest first', async () => {
    const ids: string[] = []
    for (const what of [
      `state = 'running'`,
      `state = 'paused'`,
      `priority = 3`,
      `priority = -3`,
      `state = 'completed', finished_at = now()`,
    ]) {
      const id = await putCallback(storage)
      await set(id, what)
      ids.unshift(id)
    }
    assert.deepEqual(
      (await changes.unfinished(ALL)).callbacks.map(({ id }) => id),
      ids.slice(1),
    )
    assert.deepEqual(
      (await changes.unfinished({ ...ALL, limit: 2 })).callbacks.map(({ id }) => id),
      ids.slice(1, 3),
    )
  })

  it('reads no table from its start, with statistics and without, however many callbacks there are', async () => {
    await storage.query(
      `INSERT INTO callbacks (id, object_ids, priority, due_at, state, finished_at) SELECT gen_random_uuid(), '{1}', n % 2, now() - n * interval '9 ms',
         (CASE WHEN n % 3 = 0 THEN 'pending' ELSE 'completed' END)::callback_state, CASE WHEN n % 3 > 0 THEN now() - n * interval '9 ms' END
       FROM generate_series(1, 200000) n`,
    )
    const { fromUs, seen } = { fromUs: (await changes.look()).nowUs - 1_000_000, seen: '3:3:' }
    for (const state of ['without', 'with']) {
      const plans: string[] = []
      const explain = async (...[text, ...values]: Parameters<typeof Prisma.sql>): Promise<object[]> => {
        const { text: sql, values: parameters } = Prisma.sql(text, ...values)
        plans.push(JSON.stringify(await storage.query(`EXPLAIN ${sql}`, [...parameters])))
        return [{ snapshot: '', found: null }]
      }
      const explained = new CallbackChanges({ prisma: { $queryRaw: explain } as unknown as PrismaClient })
      await explained.read({ ...ALL, fromUs, seen })
      await explained.unfinished(ALL)
      assert.equal(plans.length, 2)
      for (const plan of plans) assert.doesNotMatch(plan, /Seq Scan on callbacks/, `${state} statistics`)
      await storage.query('ANALYZE callbacks')
    }
  })
})
