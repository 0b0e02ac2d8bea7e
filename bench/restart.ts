import { accept, finished, range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { ServiceProcess } from '../test/support/service-process.ts'
import { ZipkinCollector } from '../test/support/zipkin-collector.ts'
import { withPostgres } from './support/postgres.ts'

const ROUNDS = 5
const IDS = 200

/**
 * kill -9 in the middle of a callback of 200 ids against 300 to 4300 ms an answer, and a restart at once: how long from the start of the new
 * process until the callback is completed, beyond the slowest fetch it still had to make; what was stored twice; what was lost.
 */
await withPostgres(async databaseUrl => {
  const zipkin = new ZipkinCollector()
  await zipkin.start()
  const client = await ServiceProcess.start('client-service', { EMITTER_ENABLED: 'false', ZIPKIN_URL: '' })
  const env = { DATABASE_URL: databaseUrl, CLIENT_SERVICE_URL: client.url, ZIPKIN_URL: zipkin.url, MIGRATE_ON_START: 'true' }
  let service = await (await ServiceProcess.start('callback-service', env)).ready()
  const rowsOf = (id: string) =>
    withClient(
      databaseUrl,
      async db =>
        (await db.query('SELECT id, stored_at FROM objects WHERE callback_id = $1', [id])).rows as { id: string; stored_at: Date }[],
    )
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      const id = await accept(service.url, range(round * 1000, IDS))
      await new Promise(resolve => setTimeout(resolve, 2000))
      await service.stop('SIGKILL')
      const before = new Map((await rowsOf(id)).map(row => [row.id, row.stored_at.getTime()]))
      const startedAtMs = Date.now()
      service = await ServiceProcess.start('callback-service', env)
      const callback = await finished(service.url, id)
      const tookMs = Date.parse(callback.finished_at as string) - startedAtMs
      const after = await rowsOf(id)
      await new Promise(resolve => setTimeout(resolve, 1500))
      const fetches = zipkin.trace(callback.trace_id).filter(span => span.name === 'fetch object' && span.timestamp / 1000 > startedAtMs)
      const slowestMs = Math.max(...fetches.map(span => span.duration)) / 1000
      const twice = after.filter(row => before.has(row.id) && before.get(row.id) !== row.stored_at.getTime()).length
      process.stdout.write(
        `round ${round}: ${before.size} stored before the kill; completed ${tookMs} ms after the new start, slowest of ${fetches.length} fetches ${slowestMs.toFixed(0)} ms, ` +
          `the rest ${(tookMs - slowestMs).toFixed(0)} ms; stored twice ${twice}, lost ${IDS - after.length}\n`,
      )
    }
  } finally {
    await Promise.all([service.stop(), client.stop()])
    zipkin.stop()
  }
})
