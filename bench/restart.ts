import { setTimeout as sleep } from 'node:timers/promises'
import { accept, finished, range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { ZipkinCollector, type ZipkinSpan } from '../test/support/zipkin-collector.ts'
import { benchmark } from './support/benchmark.ts'

/**
 * Kills the service with kill -9 in the middle of a callback and restarts it at once. It measures the time from the start of the new
 * process until the callback is completed, minus the slowest answer that was still missing. Nothing may be lost, and no stored object may
 * be fetched again.
 */
await benchmark(
  {
    name: 'restart',
    title: 'a callback cut in half by kill -9, completed by the next process',
    settings: { rounds: 5, ids: 200, minMs: 300, maxMs: 4300, killAfterMs: 2000 },
    quick: { rounds: 1, maxMs: 1300, killAfterMs: 800 },
  },
  async ({ settings, databaseUrl, callbackService, clientService, onEnd, rounds, sample }) => {
    const { ids, minMs, maxMs, killAfterMs } = settings
    const zipkin = new ZipkinCollector()
    await zipkin.start()
    onEnd(() => zipkin.stop())
    const client = await clientService({ LATENCY_MIN_MS: `${minMs}`, LATENCY_MAX_MS: `${maxMs}`, ZIPKIN_URL: zipkin.url })
    const start = () => callbackService({ CLIENT_SERVICE_URL: client.url, ZIPKIN_URL: zipkin.url })
    let service = await start()
    await rounds(async round => {
      const id = await accept(service.url, range(1 + round * ids, ids))
      await sleep(killAfterMs)
      await service.stop('SIGKILL')
      const before = await storedAt(databaseUrl, id)
      const startedAtMs = Date.now()
      service = await start()
      const { finished_at, trace_id } = await finished(service.url, id)
      const tookMs = Date.parse(finished_at as string) - startedAtMs
      const after = await storedAt(databaseUrl, id)
      if (after.size !== ids) throw new Error(`${ids - after.size} objects are lost`)

      const answers = await until(() => {
        const since = zipkin.trace(trace_id).filter(span => isAnswer(span) && span.timestamp / 1000 > startedAtMs)
        return since.length >= ids - before.size ? since : undefined
      })
      const slowestMs = Math.max(...answers.map(span => span.duration)) / 1000
      sample('objects stored before the kill', before.size)
      sample('completed after the new start, ms', tookMs)
      sample('slowest answer it waited for, ms', slowestMs)
      sample('completed, beyond that answer, ms', tookMs - slowestMs)
      sample('objects stored twice', [...before].filter(([object, at]) => after.get(object) !== at).length, { atMost: 0 })
    })
  },
)

function isAnswer(span: ZipkinSpan): boolean {
  return span.kind === 'SERVER' && span.localEndpoint.serviceName === 'client-service'
}

/** Reads when each object of a callback was stored. */
async function storedAt(databaseUrl: string, callbackId: string): Promise<Map<string, number>> {
  const { rows } = await withClient(databaseUrl, db => db.query('SELECT id, stored_at FROM objects WHERE callback_id = $1', [callbackId]))
  return new Map(rows.map(row => [row.id, row.stored_at.getTime()]))
}
