import { accept, finished, postCallback, range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { ZipkinCollector } from '../test/support/zipkin-collector.ts'
import { benchmark } from './support/benchmark.ts'
import { Completions } from './support/completions.ts'
import { callbackOf } from './support/load.ts'
import { sendAtRate } from './support/sender.ts'

/**
 * Checks that a callback waits for nothing but the client service. The first part sends a single callback with many ids. It compares the
 * time when the last object is stored with the slowest answer in the client service's own trace. The second part sends callbacks at a rate
 * that keeps thousands of requests under way, to a stub with the same delays. Each callback should end shortly after its slowest answer,
 * and no backlog may grow.
 */
await benchmark(
  {
    name: 'latency-bound',
    title: 'callbacks done as soon as the slowest answer is there, alone and with thousands of requests under way',
    settings: { rounds: 5, minMs: 300, maxMs: 4300, idsAlone: 200, perSecond: 20, seconds: 60, ids: 100 },
    quick: { rounds: 1, maxMs: 600, seconds: 3 },
  },
  async ({ settings, databaseUrl, callbackService, clientService, program, onEnd, rounds, sample, say }) => {
    const { minMs, maxMs, idsAlone, perSecond, seconds, ids } = settings

    const zipkin = new ZipkinCollector()
    await zipkin.start()
    onEnd(() => zipkin.stop())
    const client = await clientService({ LATENCY_MIN_MS: `${minMs}`, LATENCY_MAX_MS: `${maxMs}`, ZIPKIN_URL: zipkin.url })
    const alone = await callbackService({ CLIENT_SERVICE_URL: client.url, ZIPKIN_URL: zipkin.url })
    await finished(alone.url, await accept(alone.url, [0]))
    await rounds(async round => {
      const [sentAtMs, started] = [Date.now(), performance.now()]
      const response = await postCallback(alone.url, range(1 + round * idsAlone, idsAlone))
      sample('alone: POST answered, ms', performance.now() - started)
      const { id } = (await response.json()) as { id: string }
      const { trace_id } = await finished(alone.url, id)
      const lastStoredMs = (await lastStored(databaseUrl, id, idsAlone)) - sentAtMs
      const answers = await until(() => {
        const spans = zipkin.trace(trace_id).filter(span => span.kind === 'SERVER' && span.localEndpoint.serviceName === 'client-service')
        return spans.length === idsAlone ? spans : undefined
      })
      const slowestMs = Math.max(...answers.map(span => span.duration)) / 1000
      sample('alone: last object stored, ms', lastStoredMs)
      sample('alone: slowest single answer, ms', slowestMs)
      sample('alone: last object stored, of the slowest answer', lastStoredMs / slowestMs, { atMost: 1.05 })
    })
    await alone.stop()

    const stub = await program('bench/support/slow-client-stub.ts', { DELAY_MIN_MS: `${minMs}`, DELAY_MAX_MS: `${maxMs}` })
    const busy = await callbackService({
      CLIENT_SERVICE_URL: stub.url,
      FETCH_CONCURRENCY: '6000',
      PROCESS_MAX_RUNNING: '1000',
      EXPIRY_TTL_SECONDS: '600',
    })
    const firstId = 1_000_000
    say(`${perSecond} callbacks a second of ${ids} ids for ${seconds} s`)
    const sent = await sendAtRate({
      url: busy.url,
      perSecond,
      seconds,
      bodyOf: index => callbackOf(range(firstId + index * ids, ids)),
    })
    const completions = await Completions.of(databaseUrl, sent)
    const stored = await withClient(databaseUrl, db => db.query('SELECT count(*) AS count FROM objects WHERE id >= $1', [firstId]))
    if (Number(stored.rows[0].count) !== sent.length * ids) throw new Error(`${sent.length * ids} ids, ${stored.rows[0].count} stored`)
    sample('at the rate: completed, p50 ms', completions.percentileMs(0.5))
    sample('at the rate: completed, p95 ms', completions.percentileMs(0.95), { atMost: 5500 })
    sample('at the rate: unfinished callbacks in the middle', completions.unfinishedBetween(seconds / 3, (2 * seconds) / 3))
    sample('at the rate: unfinished callbacks at the end, of the middle', completions.growth(seconds), { atMost: 1.25 })
  },
)

/** @returns when the last object of a callback was stored, in epoch milliseconds @throws {Error} not all objects are stored */
async function lastStored(databaseUrl: string, callbackId: string, count: number): Promise<number> {
  const { rows } = await withClient(databaseUrl, db =>
    db.query('SELECT count(*) AS count, max(extract(epoch FROM stored_at)) * 1000 AS last FROM objects WHERE callback_id = $1', [
      callbackId,
    ]),
  )
  if (Number(rows[0].count) !== count) throw new Error(`${rows[0].count} of ${count} objects stored`)
  return Number(rows[0].last)
}
