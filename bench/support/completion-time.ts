import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'

/** Deletes all callbacks and objects. */
export function emptyDatabase(databaseUrl: string): Promise<unknown> {
  return withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
}

/** Resolves when no callback is unfinished. */
export function allFinished(databaseUrl: string): Promise<unknown> {
  const isFinished = (): Promise<boolean> =>
    withClient(databaseUrl, async db => (await db.query('SELECT FROM callbacks WHERE finished_at IS NULL LIMIT 1')).rowCount === 0)
  return until(isFinished, 120_000)
}

/** Sends callbacks, 50 at a time. @returns milliseconds from the first POST to the last completion @throws {Error} one was not accepted */
export async function timeToFinish(databaseUrl: string, url: string, callbacks: number, body: string): Promise<number> {
  const startedMs = Date.now()
  const post = async (): Promise<void> => {
    const response = await fetch(`${url}/callback`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    if (response.status !== 202) throw new Error(`answered ${response.status}`)
    await response.arrayBuffer()
  }
  for (let sent = 0; sent < callbacks; sent += 50) await Promise.all(Array.from({ length: 50 }, post))
  await allFinished(databaseUrl)
  return withClient(databaseUrl, async db => {
    const { rows } = await db.query('SELECT extract(epoch FROM max(finished_at))::float8 * 1000 AS last FROM callbacks')
    return rows[0].last - startedMs
  })
}
