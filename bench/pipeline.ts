import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { benchmark } from './support/benchmark.ts'
import { fetchAndStore } from './support/fetch-and-store.ts'

const CONCURRENCY = 512
const WARM_UP = 800

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
      await work(service.url, WARM_UP)
      const perSecond = await work(service.url, objects)
      await service.stop()
      if (ratio === 1 && (await spans()) - spansBefore < objects) throw new Error('spans are missing')
      return perSecond
    }
    const work = async (url: string, count: number): Promise<number> => {
      const perSecond = await fetchAndStore({ url, databaseUrl, firstId, count })
      firstId += count
      return perSecond
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
