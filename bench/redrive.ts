import type pg from 'pg'
import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { Completions } from './support/completions.ts'
import { callbackOf } from './support/load.ts'
import { ascending, percentile } from './support/percentile.ts'
import { sendAtRate } from './support/sender.ts'

interface Operation {
  readonly href: string
  readonly state: string
  readonly done: number
}

/**
 * Measures how long new callbacks take while an operation sends failed callbacks round again. New callbacks come at a steady rate all the time. In
 * each round the service has no operation, then one at the default rate, then none again, then one at the higher rate. The client service
 * answers at once, so that the delay is not hidden behind its answers. The time runs from the POST to the completion.
 *
 * Afterwards one operation redrives all that are left. Each failed callback must then be completed, and must have been retried once.
 */
await benchmark(
  {
    name: 'redrive',
    title: 'new callbacks while failed ones are sent round again',
    settings: { rounds: 4, seconds: 20, perSecond: 50, ids: 10, failed: 100_000, rate: 50, highRate: 500, lastRate: 1000 },
    quick: { rounds: 1, seconds: 2, perSecond: 20, failed: 2000 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample }) => {
    const { seconds, perSecond, ids, failed, rate, highRate, lastRate } = settings
    const stub = await program('bench/support/client-stub.ts')
    const service = await callbackService({
      CLIENT_SERVICE_URL: stub.url,
      EXPIRY_TTL_SECONDS: '600',
      CALLBACKS_RETENTION_SECONDS: '86400',
    })
    let firstId = failed + 1

    /** Sends callbacks for a while. @returns p95 from the POST to the completion, in milliseconds */
    const send = async (forSeconds: number): Promise<number> => {
      const from = firstId
      firstId += forSeconds * perSecond * ids
      const bodyOf = (index: number): string => callbackOf(range(from + index * ids, ids))
      const sent = await sendAtRate({ url: service.url, perSecond, seconds: forSeconds, bodyOf })
      const { all } = await Completions.of(databaseUrl, sent)
      const finishedAtMs = new Map(all.map(completion => [completion.id, completion.finishedAtMs]))
      return percentile(ascending(sent.map(({ id, sentAtMs }) => Number(finishedAtMs.get(String(id))) - sentAtMs)), 0.95)
    }
    const start = async (ratePerSecond: number): Promise<Operation> => {
      const response = await fetch(`${service.url}/v1/operations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ kind: 'retry', rate_per_second: ratePerSecond }),
      })
      if (response.status !== 202) throw new Error(`answered ${response.status}: ${await response.text()}`)
      return (await response.json()) as Operation
    }
    const read = async ({ href }: Operation): Promise<Operation> => (await (await fetch(`${service.url}${href}`)).json()) as Operation

    /** Sends while an operation runs. @returns p95 of the new callbacks, and what the operation did in a second */
    const sendBeside = async (ratePerSecond: number) => {
      const operation = await start(ratePerSecond)
      await until(async () => (await read(operation)).state === 'running', 60_000)
      const [before, startedMs] = [await read(operation), performance.now()]
      const p95Ms = await send(seconds)
      const [after, tookMs] = [await read(operation), performance.now() - startedMs]
      if (after.state !== 'running') throw new Error('there are too few failed callbacks')
      await fetch(`${service.url}${operation.href}`, { method: 'DELETE' })
      return { p95Ms, redriven: ((after.done - before.done) / tookMs) * 1000 }
    }

    await withClient(databaseUrl, async db => {
      await fail(db, failed)
      await send(seconds)
      await rounds(async () => {
        for (const [name, ratePerSecond] of [
          ['default rate', rate],
          ['high rate', highRate],
        ] as const) {
          const aloneMs = await send(seconds)
          const { p95Ms, redriven } = await sendBeside(ratePerSecond)
          sample(`${name}: new callbacks alone, p95 ms`, aloneMs)
          sample(`${name}: new callbacks beside it, p95 ms`, p95Ms)
          sample(`${name}: beside it, of alone`, p95Ms / aloneMs, { atMost: 1.2 })
          sample(`${name}: redriven a second, of the rate`, redriven / ratePerSecond, { atLeast: 0.9, atMost: 1.1 })
          await idle(db)
        }
      })
      const operation = await start(lastRate)
      const startedMs = performance.now()
      const { rows } = await db.query(`SELECT count(*)::int AS left FROM callbacks WHERE state = 'failed'`)
      await until(async () => (await read(operation)).state === 'completed', 600_000)
      await idle(db)
      sample('all that are left: completed a second', (rows[0].left / (performance.now() - startedMs)) * 1000)
      await checkAll(db, failed)
    })
  },
)

/** Inserts failed callbacks, each of one object, and vacuums the table like autovacuum. */
async function fail(db: pg.Client, count: number): Promise<void> {
  await db.query(
    `INSERT INTO callbacks (id, state, object_ids, attempts, received_at, due_at, finished_at, unstored)
     SELECT gen_random_uuid(), 'failed', ARRAY[i], 10, at, at, at + interval '1 minute',
       jsonb_build_array(jsonb_build_object('id', i::text, 'outcome', 'failed', 'reason', 'http_500'))
     FROM (SELECT i, now() - interval '1 hour' + i * interval '1 ms' AS at FROM generate_series(1, $1::bigint) AS i) AS each`,
    [count],
  )
  await db.query('VACUUM ANALYZE callbacks')
}

async function idle(db: pg.Client): Promise<void> {
  await until(async () => (await db.query(`SELECT FROM callbacks WHERE state IN ('pending', 'running') LIMIT 1`)).rowCount === 0, 120_000)
}

/** @throws {Error} a callback that had failed was not redriven, or more than once */
async function checkAll(db: pg.Client, failed: number): Promise<void> {
  const { rows } = await db.query(
    `SELECT count(*)::int AS right FROM callbacks
     WHERE state = 'completed' AND retried_at IS NOT NULL AND jsonb_array_length(jsonb_path_query_array(timeline, '$[*] ? (@.event == "retried")')) = 1`,
  )
  if (rows[0].right !== failed) throw new Error(`${failed} callbacks had failed, ${rows[0].right} were redriven once and completed`)
}
