import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { freePort } from '../deploy/local/ports.ts'
import { postCallback } from '../test/support/callbacks.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { countRows } from './support/load.ts'

/**
 * Measures the time from the start of the process to the first 200 of /readyz, and to the first accepted callback, with a migrated
 * database. It compares them with a Node process that does nothing, the lower bound for any service. Files are in the page cache, as after
 * a restart.
 */
await benchmark(
  {
    name: 'start',
    title: 'from exec to ready, and to the first 202',
    settings: { rounds: 15 },
    quick: { rounds: 2 },
  },
  async ({ databaseUrl, program, rounds, sample }) => {
    const start = async (): Promise<{ readyMs: number; acceptedMs: number }> => {
      const port = await freePort()
      const began = performance.now()
      const starting = program('services/callback-service/main.ts', {
        DATABASE_URL: databaseUrl,
        HTTP_PORT: `${port}`,
        // Nothing listens there, but NodeSDK is loaded as it is by default.
        ZIPKIN_URL: 'http://127.0.0.1:1/',
      })
      const [answers, service] = await Promise.all([firstAnswers(`http://127.0.0.1:${port}`), starting])
      await service.stop()
      return { readyMs: answers.readyAt - began, acceptedMs: answers.acceptedAt - began }
    }

    // The first start does not count: it includes the first request of the benchmark and files that are not in the page cache.
    await start()
    let starts = 1
    await rounds(async () => {
      const began = performance.now()
      await promisify(execFile)(process.execPath, ['-e', ''])
      const nodeMs = performance.now() - began
      const { readyMs, acceptedMs } = await start()
      starts += 1
      sample('exec to ready, ms', readyMs, { atMost: 1200 })
      sample('exec to the first 202, ms', acceptedMs)
      sample('node alone, start to end, ms', nodeMs)
      sample('exec to ready, times node alone', readyMs / nodeMs)
    })
    const stored = await countRows(databaseUrl, 'callbacks')
    if (stored !== starts) throw new Error(`${starts} callbacks were answered with 202, ${stored} stored`)
  },
)

async function firstAnswers(url: string): Promise<{ readyAt: number; acceptedAt: number }> {
  await until(async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok)
  const readyAt = performance.now()
  const { status } = await postCallback(url, [])
  if (status !== 202) throw new Error(`answered ${status}`)
  return { readyAt, acceptedAt: performance.now() }
}
