import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { range, readMetrics } from '../../test/support/callbacks.ts'
import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'
import type { PostgresServer } from '../../test/support/postgres-server.ts'
import { answeredAtMs, countOutOfOrder } from '../support/acceptance-order.ts'
import { benchmark } from '../support/benchmark.ts'
import { callbackOf } from '../support/load.ts'
import { ascending, percentile } from '../support/percentile.ts'
import { type Sent, sendAtRate } from '../support/sender.ts'

/** The kinds of outages of a server: how each begins and ends. */
const OUTAGES: Readonly<Record<string, { begin: (server: PostgresServer) => Promise<void>; end: (server: PostgresServer) => unknown }>> = {
  killed: { begin: server => server.kill(), end: server => server.resume() },
  hung: { begin: server => server.freeze(), end: server => server.thaw() },
}
/** Number of objects that all callbacks name together. It is small, so that fetching after the outage does not affect the result. */
const OBJECTS = 1000

/**
 * Kills or hangs Postgres under steady traffic, with and without a spool. Each callback has its own idempotency key, so that one without a
 * 202 can be found too. With a spool, every callback must be accepted, and must be in the database soon after the outage, in order. Without
 * a spool, each must get its 503 in time, and the first must be accepted soon after the outage.
 */
await benchmark(
  {
    name: 'outage',
    title: 'Postgres away under steady traffic',
    page: 'docs/reliability.md',
    settings: { seconds: 60, perSecond: 500, ids: 10, beforeSeconds: 5, afterSeconds: 15 },
    quick: { seconds: 0.7, perSecond: 100, beforeSeconds: 0.2, afterSeconds: 0.5 },
  },
  async ({ settings, databaseUrl, postgres, callbackService, program, onEnd, sample, say }) => {
    const { seconds, perSecond, ids, beforeSeconds, afterSeconds } = settings
    const folder = await mkdtemp(join(tmpdir(), 'answerback-outage-'))
    onEnd(() => rm(folder, { recursive: true }))
    const client = await program('bench/support/client-stub.ts')
    const keyOf = (index: number): string => `key ${index}`

    for (const [how, { begin, end }] of Object.entries(OUTAGES)) {
      for (const hasSpool of [true, false]) {
        const what = `${how}, ${hasSpool ? 'spool' : 'no spool'}`
        await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
        const service = await callbackService({
          CLIENT_SERVICE_URL: client.url,
          SPOOL_PATH: hasSpool ? join(folder, `${how}.sqlite`) : '',
        })
        const sending = sendAtRate({
          url: service.url,
          perSecond,
          seconds: beforeSeconds + seconds + afterSeconds,
          bodyOf: index => callbackOf(range(1 + ((index * ids) % OBJECTS), ids)),
          headersOf: index => ({ 'idempotency-key': keyOf(index) }),
        })
        await sleep(beforeSeconds * 1000)
        await begin(postgres)
        const awayAtMs = Date.now()
        await sleep(seconds * 1000)
        await end(postgres)
        const backAtMs = Date.now()
        if (hasSpool) {
          await until(async () => (await readMetrics(service.adminUrl)).total('spool_callbacks') === 0, 60_000, 'the spool is drained')
          sample(`${what}: drained after its return, s`, (Date.now() - backAtMs) / 1000, { atMost: 10 })
        }
        const sent = await sending
        const whileAway = sent.filter(({ sentAtMs }) => sentAtMs >= awayAtMs && sentAtMs < backAtMs)
        const ms = ascending(whileAway.map(each => each.ms))
        sample(`${what}: sent while away`, whileAway.length)
        if (hasSpool) {
          sample(`${what}: of them answered 202, share`, whileAway.filter(each => each.status === 202).length / whileAway.length, {
            atLeast: 1,
          })
          sample(`${what}: answered, p50 ms`, percentile(ms, 0.5))
          sample(`${what}: answered, p99 ms`, percentile(ms, 0.99), { atMost: 50 })
          sample(`${what}: answered, the slowest, ms`, percentile(ms, 1))
        } else {
          // Callbacks that still wait when Postgres is back may be accepted. Their answers do not belong to the outage.
          const early = whileAway.filter(each => answeredAtMs(each) < backAtMs)
          sample(`${what}: answered 503, share`, early.filter(each => each.status === 503).length / Math.max(1, early.length), {
            atLeast: 1,
          })
          sample(`${what}: answered, the slowest, ms`, percentile(ms, 1), { atMost: 2000 })
          const back = sent.filter(each => each.status === 202).map(answeredAtMs)
          sample(`${what}: first 202 after its return, s`, (Math.min(...back.filter(at => at > backAtMs)) - backAtMs) / 1000, { atMost: 1 })
        }

        const places = await placesInInbox(databaseUrl)
        const accepted = sent.flatMap((each, index) => (each.status === 202 ? [{ sent: each, place: places.get(keyOf(index)) ?? -1 }] : []))
        const lost = accepted.filter(({ place }) => place === -1).length
        if (lost > 0) throw new Error(`${what}: ${lost} callbacks were answered with 202 and are not there`)
        sample(`${what}: lost`, lost, { atMost: 0 })
        sample(`${what}: out of order`, countOutOfOrder(accepted), { atMost: 0 })
        sample(`${what}: stored although answered with a 503`, places.size - accepted.length)
        await completed(databaseUrl)
        await service.stop()
        say(`${what}: ${statuses(sent)}`)
      }
    }
  },
)

/** Reads the position of each callback in the order of receipt, by idempotency key. */
async function placesInInbox(databaseUrl: string): Promise<Map<string, number>> {
  const { rows } = await withClient(databaseUrl, db => db.query('SELECT idempotency_key FROM callbacks ORDER BY received_at, due_at'))
  return new Map(rows.map((row, place) => [row.idempotency_key, place]))
}

/** Resolves when every callback is completed. @throws {Error} a callback failed */
async function completed(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, async db => {
    await until(async () => (await db.query('SELECT FROM callbacks WHERE finished_at IS NULL LIMIT 1')).rowCount === 0, 300_000)
    const { rowCount } = await db.query(`SELECT FROM callbacks WHERE state <> 'completed'`)
    if (rowCount !== 0) throw new Error(`${rowCount} callbacks failed`)
  })
}

function statuses(sent: readonly Sent[]): string {
  const counts = Map.groupBy(sent, ({ status }) => status)
  return [...counts].map(([status, all]) => `${all.length} × ${status === 0 ? 'no answer' : status}`).join(', ')
}
