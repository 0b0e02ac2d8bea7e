import { parseArgs } from 'node:util'
import type pg from 'pg'
import { readMetrics } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { ServiceProcess } from '../test/support/service-process.ts'
import { withPostgres } from './support/postgres.ts'

/**
 * Default traffic for two minutes, then until the last object is gone: what was accepted, completed, failed, and how late each deletion was.
 * Deletions are witnessed by the database itself: a trigger notes each with the moment it was due and the moment it happened.
 */
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' } } })

const WITNESS = `
  CREATE TABLE deletions (id bigint, due timestamptz, at timestamptz);
  CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO deletions VALUES (OLD.id, OLD.expires_at, clock_timestamp()); RETURN NULL; END';
  CREATE TRIGGER witness AFTER DELETE ON objects FOR EACH ROW EXECUTE FUNCTION witness()`

await withPostgres(databaseUrl =>
  withClient(databaseUrl, async db => {
    const service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: databaseUrl,
      MIGRATE_ON_START: 'true',
      HTTP_PORT: '0',
      CLIENT_SERVICE_URL: 'http://127.0.0.1:19010',
      ZIPKIN_URL: '',
    })
    await service.ready()
    await db.query(WITNESS)
    const client = await ServiceProcess.start('client-service', { HTTP_PORT: '19010', CALLBACK_SERVICE_URL: service.url, ZIPKIN_URL: '' })
    try {
      await new Promise(resolve => setTimeout(resolve, Number(values.seconds) * 1000))
      await fetch(`${client.adminUrl}/config`, { method: 'PATCH', body: '{"emitter":{"enabled":false}}' })
      const emitted = (await readMetrics(client.adminUrl)).total('emitter_callbacks_total')
      await until(async () => (await countOf(db, 'objects', 'true')) === 0, 60_000)
      const stored = (await readMetrics(service.adminUrl)).total('objects_stored_total')
      const { rows } = await db.query('SELECT extract(epoch FROM at - due) * 1000 AS late FROM deletions ORDER BY late')
      const late = rows.map(row => Number(row.late))
      const at = (share: number): string => (late[Math.min(late.length - 1, Math.floor(late.length * share))] ?? Number.NaN).toFixed(1)
      say(
        `emitted ${emitted}, accepted ${await countOf(db, 'callbacks', 'true')}, completed ${await countOf(db, 'callbacks', "state = 'completed'")}, failed ${await countOf(db, 'callbacks', "state = 'failed'")}`,
      )
      say(`objects written ${stored}, deleted ${late.length}, early ${late.filter(ms => ms < 0).length}`)
      say(`lateness ms: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`)
    } finally {
      await Promise.all([client.stop(), service.stop()])
    }
  }),
)

async function countOf(db: pg.Client, table: string, condition: string): Promise<number> {
  return Number((await db.query(`SELECT count(*) AS count FROM ${table} WHERE ${condition}`)).rows[0].count)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
