import { setTimeout as sleep } from 'node:timers/promises'
import { patchConfig, readMetrics } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { percentile } from './support/percentile.ts'

/** Triggers with which the database itself records each deletion, with the time when it was due and the time when it happened. */
const WITNESS = `
  CREATE TABLE deletions (due timestamptz, at timestamptz);
  CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO deletions VALUES (OLD.expires_at, clock_timestamp()); RETURN NULL; END';
  CREATE TRIGGER witness AFTER DELETE ON objects FOR EACH ROW EXECUTE FUNCTION witness()`

/**
 * Runs the default traffic, then waits until the last object is deleted. Every callback must be completed, and no object may be deleted
 * early. It measures how late objects are deleted. One client service sends and another one answers, so that no service must know an
 * address before it starts.
 */
await benchmark(
  {
    name: 'soak',
    title: 'default traffic until the last object is gone',
    settings: { seconds: 120, intervalMs: 5000, ttlSeconds: 30 },
    quick: { seconds: 3, intervalMs: 500, ttlSeconds: 1 },
  },
  async ({ settings, databaseUrl, callbackService, clientService, sample }) => {
    const { seconds, intervalMs, ttlSeconds } = settings
    await withClient(databaseUrl, db => db.query(WITNESS))
    const answering = await clientService()
    const service = await callbackService({ CLIENT_SERVICE_URL: answering.url, EXPIRY_TTL_SECONDS: `${ttlSeconds}` })
    const sending = await clientService({
      EMITTER_ENABLED: 'true',
      EMITTER_INTERVAL_MS: `${intervalMs}`,
      CALLBACK_SERVICE_URL: service.url,
    })
    await sleep(seconds * 1000)
    await patchConfig(sending.adminUrl, { emitter: { enabled: false } })

    await withClient(databaseUrl, async db => {
      const count = async (rows: string): Promise<number> => Number((await db.query(`SELECT count(*) AS count FROM ${rows}`)).rows[0].count)
      await until(async () => (await count('callbacks WHERE finished_at IS NULL')) === 0)
      await until(async () => (await count('objects')) === 0, ttlSeconds * 1000 + 15_000)
      const sent = (await readMetrics(sending.adminUrl)).total('emitter_callbacks_total')
      const completed = await count(`callbacks WHERE state = 'completed'`)
      if (completed !== sent || sent === 0) throw new Error(`${sent} callbacks were sent, ${completed} completed`)
      sample('callbacks sent and completed', completed)
      sample('objects written', (await readMetrics(service.adminUrl)).total('objects_stored_total'))

      const { rows } = await db.query('SELECT extract(epoch FROM at - due)::float8 * 1000 AS late FROM deletions ORDER BY late')
      const lateMs = rows.map(row => Number(row.late))
      sample('objects deleted', lateMs.length)
      sample('deleted early', lateMs.filter(ms => ms < 0).length, { atMost: 0 })
      sample('deleted late, p50 ms', percentile(lateMs, 0.5))
      sample('deleted late, p99 ms', percentile(lateMs, 0.99))
      sample('deleted late, the most, ms', percentile(lateMs, 1))
    })
  },
)
