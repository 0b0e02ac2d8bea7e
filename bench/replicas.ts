import { postCallback, range, readMetrics } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import type { ServiceProcess } from '../test/support/service-process.ts'
import { benchmark } from './support/benchmark.ts'
import { watchCpus } from './support/cpu-share.ts'

/** Requests under way in one replica: the usual number for a client service that answers at once, and few for a slow one. */
const CONCURRENCY = 512
const FEW = 100
const LATENCY_MS = 500

/**
 * Compares one, two and three callback services on one database, with callbacks posted to each in turn. In the first part the client
 * service answers at once, so that the cores of the machine are the limit. In the second part each answer takes half a second, so that the
 * requests under way are the limit. All ids are distinct. Each must be requested exactly once, and must be a row afterwards.
 */
await benchmark(
  {
    name: 'replicas',
    title: 'objects fetched and stored by one, two and three services on one database',
    settings: { rounds: 5, replicas: 3, objects: 30_000, slowObjects: 3000, ids: 100 },
    quick: { rounds: 1, replicas: 2, objects: 1000, slowObjects: 200 },
  },
  async ({ settings, databaseUrl, callbackService, clientService, program, rounds, sample }) => {
    const { ids } = settings
    const stub = await program('bench/support/client-stub.ts')
    const client = await clientService({ LATENCY_MIN_MS: `${LATENCY_MS}`, LATENCY_MAX_MS: `${LATENCY_MS}` })
    const fast = {
      url: stub.url,
      concurrency: CONCURRENCY,
      objects: settings.objects,
      answered: async () => Number(await (await fetch(`${stub.adminUrl}/requests`)).text()),
    }
    const slow = {
      url: client.url,
      concurrency: FEW,
      objects: settings.slowObjects,
      answered: async () => (await readMetrics(client.adminUrl)).total('objects_answered_total'),
    }
    let firstId = 1

    const measure = async (count: number, { url, concurrency, objects, answered }: typeof fast) => {
      const env = { CLIENT_SERVICE_URL: url, FETCH_CONCURRENCY: `${concurrency}`, EXPIRY_TTL_SECONDS: '600' }
      const replicas = await Promise.all(Array.from({ length: count }, () => callbackService(env)))
      await fetchAndStore(replicas, concurrency * count)
      const before = await answered()
      const busy = watchCpus()
      const perSecond = await fetchAndStore(replicas, objects)
      const busyShare = busy()
      const requests = (await answered()) - before
      if (requests !== objects) throw new Error(`${objects} objects were fetched by ${requests} requests`)
      await Promise.all(replicas.map(replica => replica.stop()))
      return { perSecond, busyShare }
    }
    const fetchAndStore = async (replicas: readonly ServiceProcess[], count: number): Promise<number> => {
      await withClient(databaseUrl, db => db.query('TRUNCATE objects, callbacks'))
      const startedMs = Date.now()
      for (let sent = 0; sent < count; sent += ids) {
        const replica = replicas[(sent / ids) % replicas.length] as ServiceProcess
        const { status } = await postCallback(replica.url, range(firstId + sent, Math.min(ids, count - sent)))
        if (status !== 202) throw new Error(`answered ${status}`)
      }
      firstId += count
      return withClient(databaseUrl, async db => {
        await until(async () => (await db.query(`SELECT FROM callbacks WHERE state <> 'completed' LIMIT 1`)).rowCount === 0, 120_000)
        const { rows } = await db.query('SELECT count(*) AS stored, extract(epoch FROM max(stored_at)) * 1000 AS last FROM objects')
        if (Number(rows[0].stored) !== count) throw new Error(`${count} objects were asked for, ${rows[0].stored} stored`)
        return (count / (Number(rows[0].last) - startedMs)) * 1000
      })
    }

    await rounds(async () => {
      for (const [name, load] of [
        ['answers at once', fast],
        ['answers after 500 ms', slow],
      ] as const) {
        let one = 0
        for (const count of range(1, settings.replicas)) {
          const { perSecond, busyShare } = await measure(count, load)
          if (count === 1) one = perSecond
          const what = `${name}, ${count} ${count === 1 ? 'replica' : 'replicas'}:`
          sample(`${what} objects a second`, perSecond)
          if (count > 1) sample(`${what} times one replica`, perSecond / one, load === slow ? { atLeast: 0.85 * count } : undefined)
          if (load === slow) sample(`${what} of what its requests under way can bring`, perSecond / ((count * FEW * 1000) / LATENCY_MS))
          sample(`${what} busy share of all cores`, busyShare)
        }
      }
    })
  },
)
