import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { accept, patchConfig } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'

describe('SIGTERM', function () {
  this.timeout(30_000)
  let system: System

  beforeEach(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '50' }, hasTraces: true })
  })

  afterEach(() => system.stop())

  it('under load resets no request that was sent before it, and loses none that was accepted', async () => {
    const upstream = new Pool(system.callbackUrl, { connections: null, pipelining: 1 })
    const sent: Promise<{ at: number; status: number }>[] = []
    const send = async (at: number): Promise<{ at: number; status: number }> => {
      const headers = { 'content-type': 'application/json' }
      const answer = await upstream
        .request({ method: 'POST', path: '/callback', headers, body: '{"object_ids":[1,2,3]}' })
        .catch(() => undefined)
      await answer?.body.dump()
      return { at, status: answer?.statusCode ?? 0 }
    }
    let stopped: Promise<number | null> | undefined
    let askedAt = 0
    for (let i = 0; i < 300; i += 1) {
      if (i === 150) {
        askedAt = performance.now()
        stopped = system.callbackService.stop('SIGTERM')
      }
      sent.push(send(performance.now()))
      await sleep(3)
    }
    const answers = await Promise.all(sent)
    await upstream.destroy()
    assert.equal(await stopped, 0)
    const before = answers.filter(({ at }) => at < askedAt)
    assert.ok(before.length >= 150)
    assert.deepEqual(new Set(before.map(({ status }) => status)), new Set([202]))
    assert.ok(answers.every(({ status }) => [202, 503, 0].includes(status)))
    const { rows } = await system.db.query(
      `SELECT count(*)::int AS count, count(*) FILTER (WHERE state = 'failed')::int AS failed FROM callbacks`,
    )
    assert.deepEqual(rows[0], { count: answers.filter(({ status }) => status === 202).length, failed: 0 })
  })

  it('ends in time while another session holds the lock of migrations', async () => {
    await system.db.query('SELECT pg_advisory_lock(72707369)')
    const service = await system.startCallbackService({ MIGRATE_ON_START: 'true' })
    await until(
      async () => (await system.db.query(`SELECT FROM pg_stat_activity WHERE application_name = 'answerback-migrate'`)).rowCount === 1,
    )
    assert.equal(await service.stop(), 0)
  })

  it('ends a DELETE that waits for a hung worker, and takes its wish back', async () => {
    await patchConfig(system.clientAdminUrl, { latency: { minMs: 20_000, maxMs: 20_000 } })
    const id = await accept(system.callbackUrl, [1])
    const isWished = async (): Promise<boolean> =>
      (await system.db.query(`SELECT FROM callbacks WHERE state = 'running' AND wish = 'cancel'`)).rowCount === 1
    await until(async () => (await system.db.query(`SELECT FROM callbacks WHERE state = 'running'`)).rowCount === 1)
    const other = await (await system.startCallbackService()).ready()
    system.callbackService.signal('SIGSTOP')
    try {
      const asked = codeOf(fetch(`${other.url}/v1/callbacks/${id}?wait=30`, { method: 'DELETE' }))
      await until(isWished)
      assert.deepEqual([await other.stop(), await asked, await isWished()], [0, 'callback_running', false])
    } finally {
      system.callbackService.signal('SIGCONT')
    }
  })

  it('ends a flush that waits for a lock', async () => {
    await system.db.query(`INSERT INTO callbacks (id, object_ids, due_at) VALUES (gen_random_uuid(), '{}', now() + interval '1 hour')`)
    await system.db.query('BEGIN')
    await system.db.query('SELECT FROM callbacks FOR UPDATE')
    const other = await (await system.startCallbackService({ SHUTDOWN_TIMEOUT_MS: '3000' })).ready()
    const asked = codeOf(fetch(`${other.url}/v1/callbacks/flush`, { method: 'POST' }))
    await sleep(200)
    const stopped = await other.stop()
    await system.db.query('COMMIT')
    assert.deepEqual([stopped, await asked], [0, 'flush_unfinished'])
  })

  it('is delayed by at most a second by a Zipkin that accepts connections and does not answer', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const zipkin = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/api/v2/spans`
    const tookMs: number[] = []
    for (const ZIPKIN_URL of ['', zipkin]) {
      const service = await (await system.startCallbackService({ ZIPKIN_URL })).ready()
      await accept(service.url, [1])
      await sleep(1500)
      const asked = performance.now()
      assert.equal(await service.stop(), 0)
      tookMs.push(performance.now() - asked)
    }
    silent.close()
    const [without = 0, beside = 0] = tookMs
    assert.ok(beside - without < 1200, `${without} ms without, ${beside} ms beside it`)
  })
})

/** @returns the code of a problem; `none` for any other answer, `cut` if the connection was cut */
async function codeOf(asked: Promise<Response>): Promise<string> {
  const answer = await asked.catch(() => undefined)
  if (!answer) return 'cut'
  return answer.ok ? 'none' : ((await answer.json()) as { code: string }).code
}
