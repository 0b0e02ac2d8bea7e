import { finished, postCallback, range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { ServiceProcess } from '../test/support/service-process.ts'
import { ZipkinCollector } from '../test/support/zipkin-collector.ts'
import { withPostgres } from './support/postgres.ts'

const ROUNDS = 5
const IDS = 200

/**
 * One callback of 200 distinct ids against a client service that takes 300 to 4300 ms an answer: how fast the POST is answered, and how
 * long after it the last object is stored, against the slowest single answer (the longest fetch span; no callback can be faster than that).
 */
await withPostgres(async databaseUrl => {
  const zipkin = new ZipkinCollector()
  await zipkin.start()
  const client = await ServiceProcess.start('client-service', { EMITTER_ENABLED: 'false', ZIPKIN_URL: '' })
  const service = await ServiceProcess.start('callback-service', {
    DATABASE_URL: databaseUrl,
    CLIENT_SERVICE_URL: client.url,
    ZIPKIN_URL: zipkin.url,
    MIGRATE_ON_START: 'true',
  })
  await service.ready()
  try {
    await finished(service.url, await post(service.url, range(0, 2)).then(answer => answer.id))
    for (let round = 1; round <= ROUNDS; round += 1) {
      const { id, answeredMs, sentAtMs } = await post(service.url, range(round * 1000, IDS))
      const callback = await finished(service.url, id)
      const lastStoredMs = await withClient(databaseUrl, async db => {
        const { rows } = await db.query(
          'SELECT count(*) AS count, max(extract(epoch FROM stored_at)) * 1000 AS last FROM objects WHERE callback_id = $1',
          [id],
        )
        if (Number(rows[0].count) !== IDS) throw new Error(`${rows[0].count} objects stored`)
        return Number(rows[0].last) - sentAtMs
      })
      await new Promise(resolve => setTimeout(resolve, 1500))
      const fetches = zipkin.trace(callback.trace_id).filter(span => span.name === 'fetch object')
      const slowestMs = Math.max(...fetches.map(span => span.duration)) / 1000
      process.stdout.write(
        `round ${round}: POST answered in ${answeredMs.toFixed(1)} ms; last of ${IDS} objects stored after ${lastStoredMs.toFixed(0)} ms; ` +
          `slowest single answer ${slowestMs.toFixed(0)} ms; ratio ${(lastStoredMs / slowestMs).toFixed(3)}\n`,
      )
    }
  } finally {
    await Promise.all([service.stop(), client.stop()])
    zipkin.stop()
  }
})

async function post(url: string, ids: readonly number[]): Promise<{ id: string; answeredMs: number; sentAtMs: number }> {
  const [sentAtMs, started] = [Date.now(), performance.now()]
  const response = await postCallback(url, ids)
  const answeredMs = performance.now() - started
  if (response.status !== 202) throw new Error(`answered ${response.status}`)
  return { id: ((await response.json()) as { id: string }).id, answeredMs, sentAtMs }
}
