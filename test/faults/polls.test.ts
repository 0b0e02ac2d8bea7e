import assert from 'node:assert/strict'
import { Pool } from 'undici'
import { ascending, percentile } from '../../bench/support/percentile.ts'
import { accept, postCallback, range, readMetrics } from '../support/callbacks.ts'
import { Plant } from '../support/plant.ts'
import { type System, startSystem } from '../support/system.ts'

const POLLS = 10_000
const AGENTS = 100
const SENDERS = 8
const MAX_POLLS = 500
const MB = 1024 * 1024

describe('10,000 polls at once', function () {
  this.timeout(120_000)
  let system: System
  let plant: Plant

  before(async () => {
    // Without a spool, which would accept what the database does not take in time.
    system = await startSystem({ callback: { AGENTS_MAX_POLLS: `${MAX_POLLS}` } })
    plant = await Plant.open(system.callbackUrl)
  })

  after(() => system.stop())

  it('are bounded, each is answered, and every callback is accepted meanwhile', async () => {
    const agents: string[] = []
    for (const i of range(0, AGENTS)) agents.push((await plant.newAgent(`agent ${i}`)).id)
    // The senders are connected already: a new connection waits until those before it are accepted.
    await Promise.all(Array.from({ length: SENDERS }, () => accept(system.callbackUrl, [1])))
    const before = (await readMetrics(system.callbackAdminUrl)).total('process_resident_memory_bytes')
    const pool = new Pool(system.callbackUrl, { connections: 1500, pipelining: 1, headersTimeout: 60_000 })
    const polls = range(0, POLLS).map(async i => {
      const { statusCode, headers, body } = await pool.request({
        method: 'POST',
        path: `/v1/agents/${agents[i % AGENTS]}/leases`,
        headers: { 'content-type': 'application/json', 'x-workspace': 'plant' },
        body: '{"wait_seconds":2}',
      })
      await body.dump()
      return { statusCode, mayRetry: headers['retry-after'] !== undefined }
    })
    const answered = Promise.all(polls)
    let isOver = false
    void answered.finally(() => {
      isOver = true
    })
    const tookMs: number[] = []
    const send = async (): Promise<void> => {
      while (!isOver) {
        const began = performance.now()
        // No agent takes what another workspace sends.
        const answer = await postCallback(system.callbackUrl, [1])
        assert.equal(answer.status, 202, await answer.text())
        tookMs.push(performance.now() - began)
      }
    }
    await Promise.all(Array.from({ length: SENDERS }, send))
    const answers = await answered
    await pool.close()
    const counts = Object.fromEntries(
      [...Map.groupBy(answers, ({ statusCode }) => statusCode)].map(([status, found]) => [status, found.length]),
    )
    assert.deepEqual(
      Object.keys(counts).filter(status => !['204', '429', '503'].includes(status)),
      [],
      JSON.stringify(counts),
    )
    assert.ok((counts[204] ?? 0) >= MAX_POLLS, JSON.stringify(counts))
    assert.ok(answers.every(({ statusCode, mayRetry }) => statusCode === 204 || mayRetry))
    const sorted = ascending(tookMs)
    assert.ok(percentile(sorted, 0.99) < 1500, `p99 ${percentile(sorted, 0.99)} ms of ${sorted.length}`)
    const grownMb = ((await readMetrics(system.callbackAdminUrl)).total('process_resident_memory_bytes') - before) / MB
    assert.ok(grownMb < 200, `${grownMb} MB more`)
  })
})
