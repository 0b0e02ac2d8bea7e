import type pg from 'pg'
import { pino } from 'pino'
import { CallbackClaims } from '../../services/callback-service/adapters/postgres/callback-claims.ts'
import { Database } from '../../services/callback-service/adapters/postgres/database.ts'
import { DatabaseClock } from '../../services/callback-service/adapters/postgres/database-clock.ts'
import { ObjectStore } from '../../services/callback-service/adapters/postgres/object-store.ts'
import { countCallbacks, countLiveObjects } from '../../services/callback-service/adapters/postgres/row-counts.ts'
import { withClient } from '../../test/support/database.ts'
import { ascending, percentile } from './percentile.ts'

/** Number of callbacks in one claim, as in the service. */
export const CLAIM = 32
/** Number of objects deleted by one statement. */
const EXPIRED = 100
/** Number of measurements of a statement that reads a whole table. */
const COUNTS = 5

/**
 * Measures the callback service's own statements on a database, as median milliseconds. No service may use the database meanwhile, because
 * each statement must find the rows prepared for it.
 * @throws {Error} a statement did not find its rows
 */
export function statementTimes(url: string, repeats: number): Promise<Map<string, number>> {
  return withClient(url, async db => {
    const logger = pino({ level: 'silent' })
    const database = new Database({ name: 'bench', url, maxConnections: 1, connectTimeoutMs: 2000, queryTimeoutMs: 60_000, logger })
    const clock = new DatabaseClock()
    const claims = new CallbackClaims({ prisma: database.prisma, clock, maxCrashes: 6 })
    const store = new ObjectStore({ prisma: database.prisma, clock, ttlSeconds: () => 30, onStored: () => undefined })
    const claim = async (): Promise<void> => {
      const claimed = await claims.claim(0, { shares: [{ workspace: 'default', callbacks: CLAIM, objects: 1_000_000, minAgeMs: 0 }] })
      if (claimed.length !== CLAIM) throw new Error(`${claimed.length} callbacks were claimed`)
      for (const callback of claimed) claims.release(callback)
    }
    const expire = async (): Promise<void> => {
      const { latenessMs } = await store.deleteExpired(10 * EXPIRED)
      if (latenessMs.length !== EXPIRED) throw new Error(`${latenessMs.length} objects were deleted`)
    }
    try {
      return new Map([
        [`claim of ${CLAIM}`, await medianMs(repeats, () => putBack(db), claim)],
        [`expiry of ${EXPIRED}`, await medianMs(repeats, () => storeExpired(db), expire)],
        [
          'by itself, look for lost claims',
          await medianMs(
            repeats,
            () => putBack(db),
            () => claims.takeOver(0, []),
          ),
        ],
        ['by itself, count unfinished callbacks', await medianMs(COUNTS, undefined, () => countCallbacks(database.prisma, 2000))],
        [
          'by itself, count live objects',
          await medianMs(COUNTS, undefined, () => countLiveObjects({ prisma: database.prisma, keepOffline: true })),
        ],
      ])
    } finally {
      await database.stop()
    }
  })
}

/** @param prepare runs before each measurement and is not timed */
export async function medianMs(
  repeats: number,
  prepare: (() => Promise<unknown>) | undefined,
  work: () => Promise<unknown>,
): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < repeats; i += 1) {
    await prepare?.()
    const started = performance.now()
    await work()
    times.push(performance.now() - started)
  }
  return percentile(ascending(times), 0.5)
}

async function putBack(db: pg.Client): Promise<void> {
  await db.query(`
    UPDATE callbacks SET state = 'pending', attempts = 0, claimed_by = NULL, claim_token = NULL WHERE state = 'running'`)
}

async function storeExpired(db: pg.Client): Promise<void> {
  await db.query(
    `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id)
     SELECT -i, true, now(), now(), now() - i * interval '0.3 ms', gen_random_uuid() FROM generate_series(1, $1::bigint) AS i`,
    [EXPIRED],
  )
}
