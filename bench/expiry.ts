import type pg from 'pg'
import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, countRows } from './support/load.ts'
import { ascending, percentile } from './support/percentile.ts'
import { sendAtRate } from './support/sender.ts'
import { whileStored } from './support/stored-objects.ts'
import { readDeletions, witnessDeletions } from './support/witness.ts'

/**
 * Measures how late objects are deleted while 100,000 are live and 3,000 expire each second, evenly, and how that affects accepting.
 *
 * For each deleted object another one is stored. For comparison there are windows in which objects are stored as fast but none expires, so
 * that expiry is the only difference. Each second, 300 callbacks of 100 ids arrive, a small part of what could be accepted. At the limit,
 * both would wait for a processor, and the benchmark would measure that. The client service is down, so that only accepting and expiry run.
 */
await benchmark(
  {
    name: 'expiry',
    title: '100,000 live objects, 3,000 of them due each second',
    settings: { rounds: 5, seconds: 30, usualSeconds: 10, live: 100_000, duePerSecond: 3000, callbacksPerSecond: 300, ids: 100 },
    quick: { rounds: 1, seconds: 2, usualSeconds: 1, live: 3000, duePerSecond: 1000 },
  },
  async ({ settings, databaseUrl, callbackService, rounds, sample }) => {
    const { seconds, usualSeconds, live, duePerSecond, callbacksPerSecond, ids } = settings
    const service = await callbackService()
    const body = callbackOf(range(1, ids))
    const startInMs = 1000 + live / 25

    const acceptP99Ms = async (forSeconds: number): Promise<number> => {
      const sent = await sendAtRate({ url: service.url, perSecond: callbacksPerSecond, seconds: forSeconds, bodyOf: () => body })
      const accepted = sent.filter(each => each.status === 202)
      const stored = await countRows(databaseUrl, 'callbacks')
      if (accepted.length !== sent.length || stored !== sent.length)
        throw new Error(`${sent.length} callbacks were sent, ${accepted.length} answered with 202, ${stored} stored`)
      return percentile(ascending(accepted.map(each => each.ms)), 0.99)
    }
    const usually = async (db: pg.Client): Promise<number> => {
      await db.query('TRUNCATE callbacks, objects, deletions')
      const objects = { live, perSecond: duePerSecond, startInMs, firstDueInMs: 3_600_000 }
      const { result } = await whileStored(db, objects, () => acceptP99Ms(usualSeconds))
      if ((await readDeletions(db)).deleted > 0) throw new Error('objects were deleted that were not due')
      return result
    }
    const whileExpiring = async (db: pg.Client): Promise<number> => {
      await db.query('TRUNCATE callbacks, objects, deletions')
      const objects = { live, perSecond: duePerSecond, startInMs, firstDueInMs: startInMs }
      const { result, stored } = await whileStored(db, objects, () => acceptP99Ms(seconds))
      const { deleted, left, early, p50Ms, p99Ms, maxMs } = await readDeletions(db)
      if (deleted + left !== stored) throw new Error(`${stored} objects were stored, ${deleted} deleted, ${left} left`)
      if (deleted < (seconds - 0.25) * duePerSecond) throw new Error(`${seconds * duePerSecond} objects were due, ${deleted} deleted`)
      sample('deleted early', early, { atMost: 0 })
      sample('lateness, p50 ms', p50Ms, { atMost: 5 })
      sample('lateness, p99 ms', p99Ms, { atMost: 50 })
      sample('lateness, max ms', maxMs, { atMost: 250 })
      return result
    }

    await withClient(databaseUrl, async db => {
      await witnessDeletions(db)
      await acceptP99Ms(Math.min(3, usualSeconds))
      await rounds(async () => {
        const usual = await usually(db)
        const meanwhile = await whileExpiring(db)
        sample('accepted usually, p99 ms', usual)
        sample('accepted meanwhile, p99 ms', meanwhile)
        sample('accepted meanwhile, of the usual p99', meanwhile / usual, { atMost: 1.5 })
      })
    })
  },
)
