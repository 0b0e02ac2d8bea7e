import assert from 'node:assert/strict'
import { pino } from 'pino'
import { adminServer } from '#foundation/admin/server.ts'
import { Settings } from '#foundation/config/settings.ts'
import type { HttpServer } from '#foundation/http/server.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { checkAnswers } from '../../../../test/support/check-answers.ts'
import { adminPortRoutes, documentOf } from '../../../../test/support/routes.ts'
import { activityText, MAX_ROWS, type NowView } from '../../api/activity/activity-representation.ts'
import { type ActivityCursor, getActivity } from '../../api/activity/get-activity.ts'
import { PROBLEMS } from '../../api/problem-kinds.ts'
import { COLUMNS, type Sample } from '../../domain/activity/sample.ts'
import { Samples } from '../../domain/activity/samples.ts'
import type { Activity } from '../../web/activity-types.ts'

const PROCESS = '3f2a9c01'
const NOW: NowView = {
  at: new Date(60_000),
  databaseAt: new Date(61_000),
  uptimeSeconds: 59.7,
  isShuttingDown: false,
  replicas: 3,
  fetchConcurrency: 64,
  troubles: [],
  unsuited: [],
  spool: { callbacks: 1, setAside: 2, bytes: 300 },
  worker: { number: 3, problem: undefined, callbacksRunning: 2 },
  streamsOpen: 4,
  httpConnections: 5,
  acceptWaiting: 6,
  requestsWaiting: 7,
}

/** A sample in which each column has a value of its own. */
function sample(changes: Partial<Sample> = {}): Sample {
  return { ...(Object.fromEntries(COLUMNS.map((name, i) => [name, i])) as Sample), ...changes }
}

describe('/activity', () => {
  let server: HttpServer
  let forget: () => void
  let samples: Samples
  let now: NowView

  const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 0, logger: pino({ level: 'silent' }) })

  before(() => telemetry.start())

  after(() => telemetry.stop())

  beforeEach(async () => {
    samples = new Samples({ max: MAX_ROWS, intervalMs: 1000 })
    now = NOW
    const read = (after: ActivityCursor | undefined) => ({
      news: samples.after(after?.process === PROCESS ? after.number : undefined),
      cursor: { process: PROCESS, number: samples.lastNumber },
      clockOffsetMs: samples.clockOffsetMs,
      lights: [{ name: 'postgres', state: 'bad', text: '<script>' } as const],
      now,
    })
    server = adminServer({
      port: 0,
      host: '127.0.0.1',
      allowedHosts: '',
      registry: createRegistry(),
      settings: new Settings({}, { argv: [], env: {} }),
      logger: pino({ level: 'silent' }),
      routes: [getActivity(read)],
      kinds: PROBLEMS,
    })
    await server.start()
    forget = checkAnswers(`http://127.0.0.1:${server.port}`, await documentOf(adminPortRoutes()))
  })

  afterEach(async () => {
    forget()
    await server.stop()
  })

  async function ask(query = ''): Promise<{ status: number; body: Activity; headers: Headers }> {
    const response = await fetch(`http://127.0.0.1:${server.port}/activity${query}`)
    return { status: response.status, body: (await response.json()) as Activity, headers: response.headers }
  }

  it('has a row for each sample, and what there is now', async () => {
    samples.add(sample(), { elapsedMs: 1000, clockMs: 59_000 })
    const { status, body, headers } = await ask()
    const { columns, now: shown, lights, ...rest } = body
    assert.equal(status, 200)
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.deepEqual(rest, {
      ...{ kind: 'Activity', id: 'activity', href: '/activity', cursor: `${PROCESS}-1`, from_start: true },
      ...{ interval_ms: 1000, max_rows: 900 },
    })
    assert.deepEqual(columns, { at_ms: [59_000], ...Object.fromEntries(COLUMNS.map((name, i) => [name, [i]])) })
    assert.deepEqual(lights, [{ name: 'postgres', state: 'bad', text: '<script>' }])
    assert.deepEqual(shown, {
      at: '1970-01-01T00:01:00.000Z',
      database_at: '1970-01-01T00:01:01.000Z',
      clock_offset_ms: 0,
      uptime_seconds: 60,
      is_shutting_down: false,
      replicas: 3,
      fetch_concurrency: 64,
      client_services: [],
      client_services_not_well: 0,
      unsuited: [],
      spool: { callbacks: 1, set_aside: 2, bytes: 300 },
      worker: { number: 3, problem: null, callbacks_running: 2 },
      streams_open: 4,
      http_connections: 5,
      accept_waiting: 6,
      requests_waiting: 7,
      node_version: process.version,
    })
  })

  it('gives only later rows to a reader that has the others', async () => {
    for (let i = 1; i <= 3; i += 1) samples.add(sample({ backlog: i }), { elapsedMs: 1000, clockMs: i * 1000 })
    const { cursor } = (await ask()).body
    samples.add(sample({ backlog: 4 }), { elapsedMs: 1000, clockMs: 4000 })
    const { body } = await ask(`?after=${cursor}`)
    assert.deepEqual([body.columns.backlog, body.from_start, body.cursor], [[4], false, `${PROCESS}-4`])
  })

  it('gives all rows, and says so, to a reader of the process before', async () => {
    samples.add(sample(), { elapsedMs: 1000, clockMs: 1000 })
    const { body } = await ask('?after=00000000-1')
    assert.deepEqual([body.columns.at_ms.length, body.from_start], [1, true])
  })

  for (const after of [
    '',
    '1',
    `${PROCESS}-`,
    `${PROCESS}--1`,
    `${PROCESS}-1e3`,
    `${PROCESS}-${'9'.repeat(400)}`,
    '%00',
    `${PROCESS}-1&after=a`,
  ]) {
    it(`refuses a cursor that is none: after=${after.slice(0, 20)}`, async () => {
      const { status, body } = await ask(`?after=${after}`)
      assert.deepEqual([status, (body as unknown as { code: string }).code], [400, 'invalid_parameter'])
    })
  }

  it('has nulls alone in a gap', async () => {
    samples.add(sample(), { elapsedMs: 1000, clockMs: 1000 })
    samples.add(sample(), { elapsedMs: 9000, clockMs: 10_000 })
    const { columns } = (await ask()).body
    assert.deepEqual(columns.at_ms, [1000, 2000, 10_000])
    for (const name of COLUMNS) assert.equal(columns[name][1], null, name)
  })

  it('rounds, so that 15 minutes stay small', async () => {
    samples.add(sample({ accepted: 0.04, completed: 12.3456, failed: 1333.4, eta_ms: null }), { elapsedMs: 1000, clockMs: 1000 })
    const { accepted, completed, failed, eta_ms } = (await ask()).body.columns
    assert.deepEqual([accepted, completed, failed, eta_ms], [[0], [12.3], [1333], [null]])
  })

  it('takes less than 80 KB for 15 minutes at 80,000 callbacks a minute', () => {
    const busy = sample({ accepted: 1333.3, completed: 1331.7, fetches_done: 1333.3, fetches_failed: 12.3, fetches_in_flight: 996 })
    const more = {
      fetches_waiting: 4321,
      backlog: 54_321,
      live_objects: 98_765,
      accept_p50_ms: 12.34,
      accept_p99_ms: 98.76,
      eta_ms: 43_210,
    }
    for (let i = 0; i < MAX_ROWS; i += 1) samples.add({ ...busy, ...more }, { elapsedMs: 1000, clockMs: 1_700_000_000_000 + i * 1000 })
    const view = { news: samples.after(undefined), cursor: `${PROCESS}-900`, clockOffsetMs: 0, lights: [], now }
    assert.ok(activityText(view).length < 80_000, `${activityText(view).length} bytes`)
  })

  it('names at most 20 client services that are not well, and says how many there are', async () => {
    const troubles = Array.from({ length: 25 }, (_, i) => ({ workspace: `w${i}`, state: 'open' as const, waitMs: i * 1000 }))
    now = { ...NOW, troubles, spool: undefined, worker: { number: undefined, problem: 'gone', callbacksRunning: 0 } }
    const { client_services, client_services_not_well, spool, worker } = (await ask()).body.now
    assert.deepEqual([client_services.length, client_services_not_well], [20, 25])
    assert.deepEqual(client_services.slice(0, 2), [
      { workspace: 'w0', state: 'open', until: null },
      { workspace: 'w1', state: 'open', until: '1970-01-01T00:01:01.000Z' },
    ])
    assert.deepEqual([spool, worker], [null, { number: null, problem: 'gone', callbacks_running: 0 }])
  })
})
