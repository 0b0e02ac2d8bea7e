import { postCallback, range } from '../../test/support/callbacks.ts'
import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'
import { emptyDatabase } from './completion-time.ts'

const IDS_A_CALLBACK = 200

interface Work {
  readonly url: string
  readonly databaseUrl: string
  /** The ids of the objects: as many as this, a multiple of 200, from this one on. */
  readonly firstId: number
  readonly count: number
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Empties the database, sends callbacks of 200 objects, and waits until all are completed.
 * @returns objects a second, from the first POST to the last stored object
 * @throws {Error} a callback is not accepted, or an object is not stored
 */
export async function fetchAndStore({ url, databaseUrl, firstId, count, headers }: Work): Promise<number> {
  await emptyDatabase(databaseUrl)
  const started = Date.now()
  for (let sent = 0; sent < count; sent += IDS_A_CALLBACK) {
    const { status } = await postCallback(url, range(firstId + sent, IDS_A_CALLBACK), headers)
    if (status !== 202) throw new Error(`answered ${status}`)
  }
  return withClient(databaseUrl, async db => {
    const { stored, seconds } = await until(async () => {
      const { rows } = await db.query(`
        SELECT (SELECT count(*) FROM callbacks WHERE state <> 'completed') AS left,
          (SELECT count(*) FROM objects) AS stored, (SELECT extract(epoch FROM max(stored_at)) FROM objects) - ${started / 1000} AS seconds`)
      return Number(rows[0].left) === 0 ? { stored: Number(rows[0].stored), seconds: Number(rows[0].seconds) } : undefined
    }, 120_000)
    if (stored !== count) throw new Error(`${count} objects were asked for, ${stored} stored`)
    return count / seconds
  })
}
