import assert from 'node:assert/strict'
import { accept, range, readMetrics } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import { type System, startSystem } from './support/system.ts'

/** Reads that may be under way at a time. */
const MAX_RUNNING = 5

describe('many readers that wait', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({
      client: { LATENCY_MIN_MS: '5000', LATENCY_MAX_MS: '5000' },
      callback: { READ_MAX_RUNNING: String(MAX_RUNNING), SHUTDOWN_DELAY_MS: '0' },
    })
  })

  after(() => system.stop())

  it('all get the state of their callback when their waits end at the same moment, as at a stop', async () => {
    const { callbackUrl, callbackAdminUrl, callbackService } = system
    const id = await accept(callbackUrl, [1])
    const answers: Promise<Response>[] = []
    while (answers.length < 10 * MAX_RUNNING) {
      for (let i = 0; i < MAX_RUNNING; i += 1) answers.push(fetch(`${callbackUrl}/v1/callbacks/${id}?wait=30`))
      await until(async () => (await readMetrics(callbackAdminUrl)).total('requests_waiting') === answers.length)
    }
    assert.equal(await callbackService.stop(), 0)
    const statuses = (await Promise.all(answers)).map(({ status }) => status)
    assert.deepEqual(
      statuses,
      range(0, answers.length).map(() => 200),
    )
  })
})
