import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, countRows, load } from './support/load.ts'
import { ascending, percentile } from './support/percentile.ts'
import { addDatabase, replaceCallbacks, storeObjects } from './support/seeded-database.ts'
import { sendAtRate } from './support/sender.ts'
import { CLAIM, medianMs, statementTimes } from './support/statement-times.ts'

const PAGE = 100

/**
 * Measures how long accepting, claiming, reading and expiring take with 1,000,000 live objects and 100,000 waiting callbacks. It compares
 * them with a nearly empty database. That has only the rows that the same work needs: callbacks for one claim and a page of objects.
 *
 * Both databases are on one server. The service's own adapters execute the statements while no service runs, so that nobody else claims or
 * deletes. Then a service is started with all its background duties, one service at a time. The client service is down, as it may be when
 * 100,000 callbacks wait.
 */
await benchmark(
  {
    name: 'growth',
    title: 'accept, claim, read, expire: at 1,000,000 objects and 100,000 waiting callbacks, against empty',
    settings: { rounds: 5, objects: 1_000_000, callbacks: 100_000, ids: 20, repeats: 50, seconds: 6, callbacksPerSecond: 300 },
    quick: { rounds: 1, objects: 10_000, callbacks: 1000, repeats: 5, seconds: 0.5 },
  },
  async ({ settings, databaseUrl, callbackService, rounds, sample }) => {
    const { objects, callbacks, ids, repeats, seconds, callbacksPerSecond } = settings
    const grownUrl = await addDatabase(databaseUrl, 'grown')
    await withClient(databaseUrl, db => storeObjects(db, PAGE + 1))
    await withClient(grownUrl, db => storeObjects(db, objects))
    const body = callbackOf(range(1, ids))

    const times = async (url: string, waiting: number): Promise<Map<string, number>> => {
      await withClient(url, db => replaceCallbacks(db, waiting, ids))
      const statements = await statementTimes(url, repeats)
      const service = await callbackService({ DATABASE_URL: url })
      await load({ url: service.url, connections: 8, seconds: 1, body })
      const answers = await answerTimes(service.url, url)
      await service.stop()
      return new Map([...answers, ...statements])
    }
    const answerTimes = async (serviceUrl: string, url: string): Promise<Map<string, number>> => {
      const before = await countRows(url, 'callbacks')
      const sent = await sendAtRate({ url: serviceUrl, perSecond: callbacksPerSecond, seconds, bodyOf: () => body })
      // There may be more rows: requests that were under way at the end of the previous load may be stored now.
      const stored = (await countRows(url, 'callbacks')) - before
      if (sent.some(each => each.status !== 202) || stored < sent.length)
        throw new Error(`${sent.length} callbacks were sent, ${stored} stored`)
      const accept = ascending(sent.map(each => each.ms))
      return new Map([
        ['accept', percentile(accept, 0.5)],
        ['accept, p99', percentile(accept, 0.99)],
        ['read of a page', await medianMs(4 * repeats, undefined, () => readPage(serviceUrl))],
      ])
    }

    const emptyTimes = (): Promise<Map<string, number>> => times(databaseUrl, CLAIM)
    const grownTimes = (): Promise<Map<string, number>> => times(grownUrl, callbacks)

    await withClient(databaseUrl, db => replaceCallbacks(db, CLAIM, ids))
    await statementTimes(databaseUrl, repeats)
    await rounds(async index => {
      // They take turns in going first, because this process becomes faster over time.
      const earlyEmpty = index % 2 === 0 ? await emptyTimes() : undefined
      const grown = await grownTimes()
      const empty = earlyEmpty ?? (await emptyTimes())
      for (const [what, emptyMs] of empty) {
        const grownMs = grown.get(what) as number
        sample(`${what}: empty, ms`, emptyMs)
        sample(`${what}: grown, ms`, grownMs)
        // Background statements have no target of their own. What counts is their effect on the other statements.
        sample(`${what}: grown, of empty`, grownMs / emptyMs, what.startsWith('by itself') ? undefined : { atMost: 1.25 })
      }
    })
  },
)

async function readPage(serviceUrl: string): Promise<void> {
  const answer = await fetch(`${serviceUrl}/v1/objects?limit=${PAGE}`)
  const { items } = (await answer.json()) as { items: unknown[] }
  if (items.length !== PAGE) throw new Error(`a page of ${items.length} objects`)
}
