import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

export interface StoredObjects {
  /** Number of live objects at any moment. */
  readonly live: number
  /** Number of objects that expire each second, evenly. As many are stored. */
  readonly perSecond: number
  /** When the first object expires. All of them must be stored before. */
  readonly firstDueInMs: number
}

/** Interval between two batches. Objects are stored as evenly as they expire, not all at once each second. */
const STORE_EVERY_MS = 100

/**
 * Stores `live` objects in the empty table, waits until `startInMs` have passed, and runs `work` while objects are stored as fast as they
 * expire.
 * @returns the result of `work`, and the number of objects stored in all
 */
export async function whileStored<T>(
  db: pg.Client,
  { live, perSecond, firstDueInMs, startInMs }: StoredObjects & { readonly startInMs: number },
  work: () => Promise<T>,
): Promise<{ result: T; stored: number }> {
  const started = performance.now()
  const firstDueMs = Date.now() + firstDueInMs
  let stored = 0
  const storeUpTo = async (count: number): Promise<void> => {
    await db.query(STORE, [stored + 1, count, firstDueMs / 1000, perSecond])
    stored = count
  }
  await storeUpTo(live)
  await db.query('VACUUM ANALYZE objects')
  const restMs = startInMs - (performance.now() - started)
  if (restMs < 0) throw new Error(`storing ${live} objects took ${-restMs} ms too long`)
  await sleep(restMs)

  const working = { isDone: false }
  const result = work().finally(() => {
    working.isDone = true
  })
  const begun = performance.now()
  while (!working.isDone) {
    await Promise.race([sleep(STORE_EVERY_MS), result])
    await storeUpTo(live + Math.floor(((performance.now() - begun) / 1000) * perSecond))
  }
  return { result: await result, stored }
}

/** Stores objects $1 to $2. The first expires at $3 (epoch seconds), and $4 of them expire each second. */
const STORE = `
  INSERT INTO objects (id, online, last_seen_at, fetched_at, stored_at, expires_at, callback_id)
  SELECT i, true, now(), now(), now(), to_timestamp($3::float8 + (i - 1) / $4::float8), gen_random_uuid()
  FROM generate_series($1::bigint, $2::bigint) AS i`
