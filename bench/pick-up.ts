import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { countRows } from './support/load.ts'
import { ascending, percentile } from './support/percentile.ts'
import { type PickUp, PickUps } from './support/pick-ups.ts'

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
    const pickUps = await PickUps.start()
    onEnd(() => pickUps.stop())
    const service = await callbackService({ CLIENT_SERVICE_URL: pickUps.clientUrl, EXPIRY_TTL_SECONDS: '3600' })

    await withClient(databaseUrl, db =>
      rounds(async () => {
        const measured: PickUp[] = []
        const roundTrips: number[] = []
        for (let i = 0; i < callbacks; i += 1) {
          await sleep(50 + Math.random() * 100)
          measured.push(await pickUps.next(service.url))
          await sleep(50)
          roundTrips.push(await roundTrip(db))
        }
        const fromAnswer = ascending(measured.map(each => each.fromAnswerMs))
        sample('202 to fetch, p50 ms', percentile(fromAnswer, 0.5), { atMost: 10 })
        sample('202 to fetch, p99 ms', percentile(fromAnswer, 0.99), { atMost: 50 })
        sample('202 to fetch, max ms', percentile(fromAnswer, 1))
        sample('POST to fetch, p50 ms', percentile(ascending(measured.map(each => each.fromPostMs)), 0.5))
        sample('round trip to Postgres, p50 ms', percentile(ascending(roundTrips), 0.5))
      }),
    )
    await until(
      async () => (await countRows(databaseUrl, "callbacks WHERE state = 'completed'")) === pickUps.count,
      15_000,
      'every callback is completed',
    )
    if ((await countRows(databaseUrl, 'objects')) !== pickUps.count) throw new Error('an object is missing')
  },
)

async function roundTrip(db: pg.Client): Promise<number> {
  const started = performance.now()
  await db.query('SELECT 1')
  return performance.now() - started
}
