import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { postCallback, range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'

const CONCURRENCY = 512
const IDS_A_CALLBACK = 200

const TRACINGS = [
  { name: 'tracing off', zipkin: false, ratio: 0, least: 0.6 },
  { name: 'sampled 0.1', zipkin: true, ratio: 0.1, least: 0.55 },
  { name: 'sampled 1', zipkin: true, ratio: 1, least: 0.35 },
] as const

/**
 * Measures how many objects per second the service fetches and stores while there is a backlog. It compares that with a bare undici loop of
 * the same concurrency that stores nothing. The client service answers at once. All ids are distinct, and each must be a row afterwards.
 */
await benchmark(
  {
    name: 'pipeline',
    title: 'objects fetched and stored, against a bare undici loop that stores nothing',
    settings: { rounds: 5, objects: 40_000 },
    quick: { rounds: 1, objects: 2000 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample }) => {
    const { objects } = settings
    const stub = await program('bench/support/client-stub.ts')
    let firstId = 1

    const pipeline = async (zipkin: boolean, ratio: number): Promise<number> => {
      const service = await callbackService({
        CLIENT_SERVICE_URL: stub.url,
        ZIPKIN_URL: zipkin ? stub.adminUrl : '',
        TRACING_SAMPLE_RATIO: String(ratio),
        FETCH_CONCURRENCY: String(CONCURRENCY),
        EXPIRY_TTL_SECONDS: '600',
      })
      const spansBefore = await spans()
      await fetchAndStore(service.url, 4 * IDS_A_CALLBACK)
      const perSecond = await fetchAndStore(service.url, objects)
      await service.stop()
      if (ratio === 1 && (await spans()) - spansBefore < objects) throw new Error('spans are missing')
      return perSecond
    }
    const fetchAndStore = async (url: string, count: number): Promise<number> => {
      await withClient(databaseUrl, db => db.query('TRUNCATE objects, callbacks'))
      const started = Date.now()
      for (let sent = 0; sent < count; sent += IDS_A_CALLBACK) {
        const { status } = await postCallback(url, range(firstId + sent, IDS_A_CALLBACK))
        if (status !== 202) throw new Error(`answered ${status}`)
      }
      firstId += count
      return withClient(databaseUrl, async db => {
        const { stored, seconds } = await until(async () => {
          const { rows } = await db.query(`
            SELECT (SELECT count(*) FROM callbacks WHERE state <> 'completed') AS left,
              (SELECT count(*) FROM objects) AS stored, (SELECT extract(epoch FROM max(stored_at)) FROM objects) - ${started / 1000} AS seconds`)
          return Number(rows[0].left) === 0 ? { stored: Number(rows[0].stored), seconds: Number(rows[0].seconds) } : undefined
        }, 120_000)
        if (stored !== count) throw new Error(`${count} objects were asked for, ${stored} stored`)
        return count / seconds
      })
    }
    const spans = async (): Promise<number> => Number(await (await fetch(stub.adminUrl)).text())
    const bareLoop = async (): Promise<number> => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        'bench/support/bare-loop.ts',
        stub.url,
        `${objects}`,
        `${CONCURRENCY}`,
      ])
      return Number(stdout)
    }

    await rounds(async () => {
      const bare = await bareLoop()
      sample('bare loop, objects a second', bare)
      for (const { name, zipkin, ratio, least } of TRACINGS) {
        const perSecond = await pipeline(zipkin, ratio)
        sample(`${name}: objects a second`, perSecond)
        sample(`${name}: of the bare loop`, perSecond / bare, { atLeast: least })
      }
    })
  },
)
