import pg from 'pg'
import { postCallback, range } from '../test/support/callbacks.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, loadAndCount } from './support/load.ts'
import { cpuMicroseconds, cpuMicrosecondsOfAll, parentOf } from './support/process-cpu.ts'

const IDS = [1, 10, 100, 1000] as const
const IDS_A_CALLBACK = 200
const TTL_SECONDS = 5

/**
 * Measures the cost of a callback by its number of ids, and the cost of an object from its fetch to its deletion. It counts CPU time of the
 * service and of PostgreSQL, and bytes in tables and in the write-ahead log. docs/performance.md uses it for sizing. Linux only.
 */
await benchmark(
  {
    name: 'cost',
    title: 'CPU and bytes of a callback by its ids, and of an object',
    settings: { rounds: 5, seconds: 3, objects: 20_000 },
    quick: { rounds: 1, seconds: 1, objects: 1000 },
  },
  async ({ settings, databaseUrl, callbackService, program, onEnd, rounds, sample }) => {
    const db = new pg.Client({ connectionString: databaseUrl })
    await db.connect()
    onEnd(() => db.end())
    const ask = async (sql: string): Promise<number> => Number((await db.query(`SELECT ${sql} AS value`)).rows[0].value)
    const postmaster = parentOf(await ask('pg_backend_pid()'))

    /** Measures what `work` used, divided by the number of items that it returns. */
    const measure = async (name: string, pid: number, work: () => Promise<number>): Promise<void> => {
      const cpu = () => [cpuMicroseconds(pid), cpuMicrosecondsOfAll(postmaster)] as const
      const wal = () => ask("pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
      const [[service, postgres], written] = [cpu(), await wal()]
      const done = await work()
      const [serviceAfter, postgresAfter] = cpu()
      sample(`${name}: CPU of the service, µs`, (serviceAfter - service) / done)
      sample(`${name}: CPU of PostgreSQL, µs`, (postgresAfter - postgres) / done)
      sample(`${name}: write-ahead log, bytes`, ((await wal()) - written) / done)
    }

    await rounds(async () => {
      const accepting = await callbackService()
      for (const ids of IDS) {
        await db.query('TRUNCATE callbacks')
        const name = `callback of ${ids}`
        const load = {
          url: accepting.url,
          connections: 64,
          seconds: settings.seconds,
          body: callbackOf(Array.from({ length: ids }, spreadId)),
        }
        await measure(name, accepting.pid as number, async () => (await loadAndCount(load, databaseUrl)).answers)
        sample(
          `${name}: in the table, bytes`,
          (await ask("pg_total_relation_size('callbacks')")) / (await ask('(SELECT count(*) FROM callbacks)')),
        )
      }
      await accepting.stop()

      await db.query('TRUNCATE callbacks, objects')
      const stub = await program('bench/support/client-stub.ts')
      const fetching = await callbackService({ CLIENT_SERVICE_URL: stub.url, EXPIRY_TTL_SECONDS: String(TTL_SECONDS) })
      const { objects } = settings
      await measure('object', fetching.pid as number, async () => {
        for (let sent = 0; sent < objects; sent += IDS_A_CALLBACK) await postCallback(fetching.url, range(1 + sent, IDS_A_CALLBACK))
        await until(async () => (await ask('(SELECT count(*) FROM objects)')) === objects, 60_000)
        sample('object: in the table, bytes', (await ask("pg_total_relation_size('objects')")) / objects)
        await until(async () => (await ask('(SELECT count(*) FROM objects)')) === 0, 60_000)
        return objects
      })
      await Promise.all([fetching.stop(), stub.stop()])
    })
  },
)

/** Makes ids that are spread out like those of real systems. PostgreSQL would compress consecutive ids. */
function spreadId(_: unknown, index: number): number {
  return 1e12 + ((index * 2_654_435_761) % 2 ** 32)
}
