import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { postCallback, readMetrics } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'

const FAILED = 600
const PER_SECOND = 200

interface Operation {
  readonly id: string
  readonly state: string
  readonly matched: number
  readonly done: number
  readonly skipped: number
}

describe('an operation whose replicas are killed', function () {
  this.timeout(60_000)
  let system: System
  const services: ServiceProcess[] = []

  before(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' } })
    services.push(system.callbackService)
  })

  afterEach(() => Promise.all(services.splice(0).map(service => service.stop())))
  after(() => system?.stop())

  it('goes on, counts right, and retries each callback once', async () => {
    await system.db.query(
      `INSERT INTO callbacks (id, state, object_ids, attempts, received_at, due_at, finished_at, unstored)
       SELECT gen_random_uuid(), 'failed', ARRAY[i], 10, now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 minute',
         jsonb_build_array(jsonb_build_object('id', i::text, 'outcome', 'failed', 'reason', 'http_500'))
       FROM generate_series(1, $1::bigint) AS i`,
      [FAILED],
    )
    services.push(await (await system.startCallbackService()).ready())
    const response = await fetch(`${services[0]?.url}/v1/operations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'retry', rate_per_second: PER_SECOND }),
    })
    const { id } = (await response.json()) as Operation
    const read = async (): Promise<Operation> => {
      const { rows } = await system.db.query('SELECT state, matched::int, done::int, skipped::int FROM operations WHERE id = $1', [id])
      return rows[0]
    }
    for (const share of [0.2, 0.5, 0.8]) {
      await until(async () => (await read()).done >= FAILED * share)
      await services.shift()?.stop('SIGKILL')
      services.push(await (await system.startCallbackService()).ready())
    }
    await until(async () => (await read()).state === 'completed')
    await until(async () => (await system.db.query(`SELECT FROM callbacks WHERE state <> 'completed' LIMIT 1`)).rowCount === 0)
    const { rows } = await system.db.query(
      `SELECT jsonb_array_length(jsonb_path_query_array(timeline, '$[*] ? (@.event == "retried")')) AS retries, count(*)::int FROM callbacks GROUP BY 1`,
    )
    assert.deepEqual(await read(), { state: 'completed', matched: FAILED, done: FAILED, skipped: 0 })
    assert.deepEqual(rows, [{ retries: 1, count: FAILED }])
  })
})

describe('an operation that sends more callbacks round again than the inbox may hold', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' }, callback: { INBOX_MAX_BACKLOG: '400' } })
  })

  after(() => system?.stop())

  it('waits, so that other workspaces are accepted, and goes on when there is room', async () => {
    const send = (method: string, path: string, body: object): Promise<Response> =>
      fetch(`${system.callbackUrl}${path}`, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    await send('POST', '/v1/workspaces', { name: 'shop', paused: true })
    await system.db.query(
      `INSERT INTO callbacks (id, workspace, state, object_ids, received_at, due_at, finished_at, unstored)
       SELECT gen_random_uuid(), 'shop', 'failed', '{}', now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 minute', '[]'
       FROM generate_series(1, $1::int)`,
      [FAILED],
    )
    await send('POST', '/v1/operations?workspace_id=shop', { kind: 'retry', rate_per_second: 300 })
    const counted = async (metric: string): Promise<number> => (await readMetrics(system.callbackAdminUrl)).total(metric)
    await until(async () => (await counted('callbacks_backlog')) >= 200)
    await sleep(2500)
    assert.equal((await postCallback(system.callbackUrl, [1])).status, 202)
    await send('PATCH', '/v1/workspaces/shop', { paused: false })
    await until(async () => (await system.db.query(`SELECT FROM operations WHERE state = 'completed' AND done = ${FAILED}`)).rowCount === 1)
  })
})
