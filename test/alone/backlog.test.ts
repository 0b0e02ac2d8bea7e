import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newCallbackId } from '../../services/callback-service/adapters/callback-id.ts'
import { SpoolFile } from '../../services/callback-service/adapters/spool/spool-file.ts'
import { accept, finished, range, readMetrics } from '../support/callbacks.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type Surroundings, startSurroundings } from '../support/system.ts'

const WAITING = 100_000
const EXPIRED = 1_000_000
const SPOOLED = 30_000
const CALLBACKS = 200

/** These tests insert the backlog of an outage directly into the database. */
describe('a backlog', function () {
  this.timeout(60_000)
  let system: Surroundings
  let service: ServiceProcess

  before(async () => {
    system = await startSurroundings({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' } })
  })

  afterEach(async () => {
    await service.stop()
    await system.db.query('TRUNCATE callbacks, objects')
  })

  after(() => system.stop())

  it(`of ${WAITING} callbacks makes accepting no slower`, async () => {
    service = await (await system.startCallbackService({ CLIENT_SERVICE_URL: 'http://127.0.0.1:1' })).ready()
    await medianMs(service)
    const before = await medianMs(service)
    await system.db.query(
      `INSERT INTO callbacks (id, received_at, due_at, object_ids)
      SELECT gen_random_uuid(), now(), now() - i * interval '1 ms', ARRAY[i] FROM generate_series(1, $1::bigint) AS i`,
      [WAITING],
    )
    const after = await medianMs(service)
    assert.ok(after < 2 * before + 5, `${before} ms at the median before, ${after} ms with it`)
  })

  it(`of ${SPOOLED} spooled callbacks is in the database within ten seconds, in order, while others keep coming`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'answerback-backlog-'))
    const spooled = fillSpool(join(folder, 'spool.sqlite'))
    service = await system.startCallbackService({ CLIENT_SERVICE_URL: 'http://127.0.0.1:1', SPOOL_PATH: join(folder, 'spool.sqlite') })
    const started = performance.now()
    const accepted: string[] = []
    for (let waiting = SPOOLED; waiting > 0; waiting = (await readMetrics(service.adminUrl)).total('spool_callbacks')) {
      accepted.push(...(await Promise.all(range(1, 10).map(id => accept(service.url, [id])))))
    }
    assert.ok(performance.now() - started < 10_000, `${performance.now() - started} ms`)
    assert.ok(accepted.length > 100, `only ${accepted.length} callbacks were accepted meanwhile`)
    const { rows } = await system.db.query('SELECT id FROM callbacks ORDER BY received_at, due_at')
    const ids = rows.map(row => row.id)
    assert.deepEqual(ids.slice(0, SPOOLED), spooled)
    assert.deepEqual(new Set(ids.slice(SPOOLED)), new Set(accepted))
    await service.stop()
    await rm(folder, { recursive: true })
  })

  it(`of ${EXPIRED} objects that expired while the service was away is gone in seconds, and no reader ever sees one`, async () => {
    await system.db.query(
      `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id)
      SELECT i, true, now(), now(), now() - interval '1 s', gen_random_uuid() FROM generate_series(1, $1::bigint) AS i`,
      [EXPIRED],
    )
    service = await (await system.startCallbackService()).ready()
    let looks = 0
    await until(async () => {
      looks += 1
      const { items } = (await (await fetch(`${service.url}/v1/objects?limit=1000`)).json()) as { items: unknown[] }
      assert.deepEqual(items, [])
      assert.equal((await fetch(`${service.url}/v1/objects/${EXPIRED}`)).status, 404)
      return (await system.db.query('SELECT FROM objects LIMIT 1')).rowCount === 0
    }, 40_000)
    assert.ok(looks > 1)
  })

  it('of row versions, kept by an old transaction, makes callbacks no slower', async () => {
    service = await (await system.startCallbackService()).ready()
    const { url } = service
    const work = async (): Promise<number> => {
      const started = performance.now()
      const ids = await Promise.all(range(0, CALLBACKS).map(() => accept(url, range(1, 20))))
      for (const id of ids) assert.equal((await finished(url, id)).state, 'completed')
      return performance.now() - started
    }
    await work()
    const before = await work()
    await withClient(system.databaseUrl, async old => {
      await old.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1')
      const rounds = [await work(), await work(), await work(), await work()]
      assert.ok(Math.min(...rounds.slice(-2)) < 3 * before + 100, `${before} ms before, then ${rounds.join(', ')} ms`)
      await old.query('COMMIT')
    })
  })
})

/** Sends callbacks one after the other. @returns the median time of an accept */
async function medianMs(service: ServiceProcess): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < CALLBACKS; i += 1) {
    const started = performance.now()
    await accept(service.url, [i])
    times.push(performance.now() - started)
  }
  return times.toSorted((a, b) => a - b)[CALLBACKS >> 1] ?? Number.NaN
}

/** Leaves callbacks in a spool, like a service that was stopped during an outage of the database. @returns their ids, in order */
function fillSpool(path: string): string[] {
  const file = new SpoolFile({ path, maxBytes: 2 ** 30 })
  const rows = range(1, SPOOLED).map(i => ({
    id: newCallbackId(),
    workspace: 'default',
    object_ids: `{${range(i, 10)}}`,
    idempotency_key: undefined,
    request_id: undefined,
    received_ms: Date.now() - 60_000 + i,
  }))
  file.append(rows)
  file.close()
  return rows.map(({ id }) => id)
}
