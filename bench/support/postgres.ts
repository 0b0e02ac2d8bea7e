import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '#prisma/migrate.ts'
import { LocalPostgres } from '../../deploy/local/postgres.ts'
import { withClient } from '../../test/support/database.ts'

/** Runs `work` beside a PostgreSQL of its own, with the durability it has by default: what is committed is on disk. */
export async function withPostgres(work: (databaseUrl: string, version: string) => Promise<void>): Promise<void> {
  const postgres = new LocalPostgres({ folder: await mkdtemp(join(tmpdir(), 'answerback-bench-')), port: 0 })
  await postgres.start()
  try {
    await postgres.createDatabase('answerback')
    const url = postgres.url('answerback')
    await migrate({ url })
    const { rows } = await withClient(url, client => client.query('SHOW server_version'))
    await work(url, rows[0].server_version)
  } finally {
    await postgres.stop()
    await postgres.remove()
  }
}
