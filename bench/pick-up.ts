import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { Pool } from 'undici'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, countRows } from './support/load.ts'
import { ascending, percentile } from './support/percentile.ts'

interface PickUp {
  readonly fromAnswerMs: number
  readonly fromPostMs: number
}

/**
 * Measures how long an idle service takes from its 202 to the first fetch. It sends one callback of one id at a time, with rests in
 * between. This process plays the client service, so that one clock measures the arrival of the 202 and of the fetch. If the fetch arrives
 * first, the time is negative. In the rests it measures a round trip to Postgres, because a claim needs at least one.
 */
await benchmark(
  {
    name: 'pick-up',
    title: 'from 202 to the first fetch, on an idle service',
    settings: { rounds: 5, callbacks: 200 },
    quick: { rounds: 1, callbacks: 20 },
  },
  async ({ settings, databaseUrl, callbackService, rounds, sample, onEnd }) => {
    const { callbacks } = settings
    const clientService = createServer().listen(0, '127.0.0.1')
    await once(clientService, 'listening')
    onEnd(() => clientService.close().closeAllConnections())
    const service = await callbackService({
      CLIENT_SERVICE_URL: `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`,
      EXPIRY_TTL_SECONDS: '3600',
    })
    const upstream = new Pool(service.url)
    onEnd(() => upstream.close())
    let id = 0

    const pickUp = async (): Promise<PickUp> => {
      id += 1
      const fetched = arrivalOf(id)
      const posted = performance.now()
      const answer = await upstream.request({
        method: 'POST',
        path: '/callback',
        headers: { 'content-type': 'application/json' },
        body: callbackOf([id]),
      })
      const answered = performance.now()
      await answer.body.dump()
      if (answer.statusCode !== 202) throw new Error(`answered ${answer.statusCode}`)
      const fetchedAt = await fetched
      return { fromAnswerMs: fetchedAt - answered, fromPostMs: fetchedAt - posted }
    }
    const arrivalOf = async (objectId: number): Promise<number> => {
      const [request, response] = (await once(clientService, 'request', { signal: AbortSignal.timeout(10_000) })) as [
        { url: string },
        ServerResponse,
      ]
      const arrived = performance.now()
      if (request.url !== `/objects/${objectId}`) throw new Error(`${request.url} was fetched, not ${objectId}`)
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ id: objectId, online: true }))
      return arrived
    }

    await withClient(databaseUrl, db =>
      rounds(async () => {
        const pickUps: PickUp[] = []
        const roundTrips: number[] = []
        for (let i = 0; i < callbacks; i += 1) {
          await sleep(50 + Math.random() * 100)
          pickUps.push(await pickUp())
          await sleep(50)
          roundTrips.push(await roundTrip(db))
        }
        const fromAnswer = ascending(pickUps.map(each => each.fromAnswerMs))
        sample('202 to fetch, p50 ms', percentile(fromAnswer, 0.5), { atMost: 10 })
        sample('202 to fetch, p99 ms', percentile(fromAnswer, 0.99), { atMost: 50 })
        sample('202 to fetch, max ms', percentile(fromAnswer, 1))
        sample('POST to fetch, p50 ms', percentile(ascending(pickUps.map(each => each.fromPostMs)), 0.5))
        sample('round trip to Postgres, p50 ms', percentile(ascending(roundTrips), 0.5))
      }),
    )
    await until(
      async () => (await countRows(databaseUrl, "callbacks WHERE state = 'completed'")) === id,
      15_000,
      'every callback is completed',
    )
    if ((await countRows(databaseUrl, 'objects')) !== id) throw new Error('an object is missing')
  },
)

async function roundTrip(db: pg.Client): Promise<number> {
  const started = performance.now()
  await db.query('SELECT 1')
  return performance.now() - started
}
