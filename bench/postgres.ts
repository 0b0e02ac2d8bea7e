import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LocalPostgres } from '../deploy/local/postgres.ts'

/** Runs a benchmark beside a PostgreSQL of its own, with the durability it has by default: what is committed is on disk. */
export async function withPostgres(benchmark: (databaseUrl: string) => Promise<void>): Promise<void> {
  const postgres = new LocalPostgres({ folder: await mkdtemp(join(tmpdir(), 'answerback-bench-')), port: 0 })
  await postgres.start()
  try {
    await postgres.createDatabase('answerback')
    await benchmark(postgres.url('answerback'))
  } finally {
    await postgres.stop()
    await postgres.remove()
  }
}
