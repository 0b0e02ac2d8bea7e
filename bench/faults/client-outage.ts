import { setTimeout as sleep } from 'node:timers/promises'
import { patchConfig, readMetrics } from '../../test/support/callbacks.ts'
import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'
import { benchmark } from '../support/benchmark.ts'

/**
 * Takes the client service down for minutes under default traffic: it resets every connection. The callback service must accept callbacks
 * as before and send only probes. No callback may fail, and all must end soon after the client service is back. One client service sends
 * and another one, which goes down, answers.
 */
await benchmark(
  {
    name: 'client-outage',
    title: 'the client service down for minutes',
    page: 'docs/reliability.md',
    settings: { seconds: 300, beforeSeconds: 20, intervalMs: 5000, maxMs: 4300 },
    quick: { seconds: 3, beforeSeconds: 1, intervalMs: 200, maxMs: 400 },
  },
  async ({ settings, databaseUrl, callbackService, clientService, sample }) => {
    const { seconds, beforeSeconds, intervalMs, maxMs } = settings
    const answering = await clientService({ LATENCY_MAX_MS: `${maxMs}` })
    const service = await callbackService({ CLIENT_SERVICE_URL: answering.url })
    const sending = await clientService({
      EMITTER_ENABLED: 'true',
      EMITTER_INTERVAL_MS: `${intervalMs}`,
      CALLBACK_SERVICE_URL: service.url,
    })
    const fetches = async (): Promise<number> => (await readMetrics(service.adminUrl)).total('fetch_duration_seconds_count')

    await sleep(beforeSeconds * 1000)
    await patchConfig(answering.adminUrl, { faults: { down: true } })
    const before = await fetches()
    await sleep(seconds * 1000)
    const requests = (await fetches()) - before
    await withClient(databaseUrl, async db => {
      const count = async (where: string): Promise<number> =>
        Number((await db.query(`SELECT count(*) AS count FROM callbacks WHERE ${where}`)).rows[0].count)
      const waiting = await count('finished_at IS NULL')
      await patchConfig(answering.adminUrl, { faults: { down: false } })
      const back = performance.now()
      const { rows } = await db.query('SELECT clock_timestamp()::text AS now')
      await until(async () => (await count(`finished_at IS NULL AND received_at < '${rows[0].now}'`)) === 0, 120_000, 'all is done')
      const tookMs = performance.now() - back
      await patchConfig(sending.adminUrl, { emitter: { enabled: false } })
      await until(async () => (await count('finished_at IS NULL')) === 0, 60_000)

      const sent = (await readMetrics(sending.adminUrl)).total('emitter_callbacks_total')
      const [completed, failed] = [await count(`state = 'completed'`), await count(`state = 'failed'`)]
      if (completed !== sent || sent === 0) throw new Error(`${sent} callbacks were sent, ${completed} completed, ${failed} failed`)
      sample('callbacks sent, accepted and completed', completed)
      sample('callbacks failed', failed, { atMost: 0 })
      sample('waiting when it came back', waiting)
      sample('requests to it while it was down', requests)
      sample('requests a minute', requests / (seconds / 60))
      sample('all completed after its return, s', tookMs / 1000, { atMost: 60 })
    })
  },
)
