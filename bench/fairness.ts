import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { CallbackClaims } from '../services/callback-service/adapters/postgres/callback-claims.ts'
import { DatabaseClock } from '../services/callback-service/adapters/postgres/database-clock.ts'
import { dueWorkspaces } from '../services/callback-service/adapters/postgres/due-workspaces.ts'
import { CLAIM_BATCH, type ClaimShare } from '../services/callback-service/domain/processing/claim-quota.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import { benchmark } from './support/benchmark.ts'
import { ascending, percentile } from './support/percentile.ts'
import { openDatabase, workAlone } from './support/processing.ts'
import { addDatabase } from './support/seeded-database.ts'

const SHARES = 8

/**
 * Measures how long the next callback of a workspace takes while another workspace, the hog, has a backlog: alone, beside a hog whose
 * client service answers at once, and beside one whose client service hangs. The others send one callback of one id at a time. The time
 * runs from the insert to the completion. The delay is its difference to the median without a hog. The worker runs in this process.
 *
 * Then it compares claims of 32 callbacks out of a backlog of one workspace with claims out of the same backlog of many.
 */
await benchmark(
  {
    name: 'fairness',
    title: 'the next callback of a workspace beside a hog, and the cost of a claim',
    settings: { rounds: 3, callbacks: 200, hogged: 100_000, hoggedIds: 10, workspaces: 1000, backlog: 1_000_000, claims: 400 },
    quick: { rounds: 1, callbacks: 20, hogged: 2000, workspaces: 20, backlog: 20_000, claims: 20 },
  },
  async ({ settings, databaseUrl, program, rounds, sample, onEnd }) => {
    const { callbacks, hogged, hoggedIds, workspaces, backlog, claims: claimCount } = settings
    const [stub, stubOfHog] = [await program('bench/support/client-stub.ts'), await program('bench/support/client-stub.ts')]
    const silent = createServer(socket => socket.on('error', () => socket.destroy())).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    onEnd(() => silent.close())
    const silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`

    /** Measures single callbacks of `count` workspaces in turn. @param hogUrl client service of the hog; undefined: there is no hog */
    const next = async (db: pg.Client, count: number, hogUrl: string | undefined): Promise<readonly number[]> => {
      await db.query('TRUNCATE callbacks, objects')
      const names = Array.from({ length: count }, (_, i) => `w${i}`)
      const urls = new Map(names.map(name => [name, stub.url]))
      if (hogUrl !== undefined) {
        urls.set('hog', hogUrl)
        await fill(db, { callbacks: hogged, workspaces: ['hog'], ids: hoggedIds })
      }
      const worker = await workAlone(databaseUrl, urls)
      try {
        if (hogUrl !== undefined) await until(() => worker.inFlight > 400, 20_000, 'the hog has its slots')
        const times: number[] = []
        for (let i = 0; i < callbacks; i += 1) {
          await sleep(10 + Math.random() * 20)
          times.push(await processOne(db, names[i % count] as string, worker.arrived))
        }
        // The first ones warm the process up.
        return ascending(times.slice(callbacks / 10))
      } finally {
        await worker.stop()
      }
    }
    await withClient(databaseUrl, db =>
      rounds(async () => {
        for (const count of [...new Set([1, Math.min(10, workspaces), workspaces])]) {
          const alone = percentile(await next(db, count, undefined), 0.5)
          sample(`${count} workspaces: next callback alone, p50 ms`, alone)
          for (const [hog, url] of [
            ['a hog', stubOfHog.url],
            ['a hanging hog', silentUrl],
          ] as const) {
            const times = await next(db, count, url)
            sample(`${count} workspaces: delay beside ${hog}, p50 ms`, percentile(times, 0.5) - alone, { atMost: 100 })
            sample(`${count} workspaces: delay beside ${hog}, p99 ms`, percentile(times, 0.99) - alone, { atMost: 300 })
          }
        }
      }),
    )

    const of = async (name: string, count: number): Promise<() => Promise<readonly [claimMs: number, surveyMs: number]>> => {
      const url = await addDatabase(databaseUrl, name)
      const names = Array.from({ length: count }, (_, i) => `w${i}`)
      await withClient(url, db => fill(db, { callbacks: backlog, workspaces: names, ids: 1 }))
      const database = openDatabase(url)
      onEnd(() => database.stop())
      const claims = new CallbackClaims({ prisma: database.prisma, clock: new DatabaseClock(), maxCrashes: 7 })
      const served = Math.min(SHARES, count)
      let turn = 0
      return async () => {
        const shares: ClaimShare[] = names.slice(turn, turn + served).map(workspace => ({
          workspace,
          callbacks: CLAIM_BATCH / served,
          objects: 1_000_000,
          minAgeMs: 0,
        }))
        turn = (turn + served) % count
        const started = performance.now()
        const claimed = await claims.claim(1, { shares })
        const claimMs = performance.now() - started
        if (claimed.length !== CLAIM_BATCH) throw new Error(`${claimed.length} callbacks were claimed`)
        for (const callback of claimed) claims.release(callback)
        await dueWorkspaces(database.prisma, { maxCrashes: 7 })
        return [claimMs, performance.now() - started - claimMs]
      }
    }
    // A multiple of the shares, so that each claim has all of them.
    const many = Math.max(SHARES, workspaces - (workspaces % SHARES))
    const [inOne, inMany] = [await of('one', 1), await of('many', many)]
    await rounds(async () => {
      const times: Record<'one' | 'many' | 'survey', number[]> = { one: [], many: [], survey: [] }
      for (let i = 0; i < claimCount / settings.rounds; i += 1) {
        times.one.push((await inOne())[0])
        const [claimMs, surveyMs] = await inMany()
        times.many.push(claimMs)
        times.survey.push(surveyMs)
      }
      const [one, manyMs, survey] = [times.one, times.many, times.survey].map(each => percentile(ascending(each), 0.5)) as [
        number,
        number,
        number,
      ]
      sample('claim of 32, one workspace, p50 ms', one)
      sample(`claim of 32, ${many} workspaces, p50 ms`, manyMs)
      sample(`claim of 32, ${many} workspaces, of one`, manyMs / one, { atMost: 1.25 })
      sample(`survey of ${many} workspaces, p50 ms`, survey)
    })
  },
)

interface Backlog {
  readonly callbacks: number
  readonly workspaces: readonly string[]
  readonly ids: number
}

/** Inserts callbacks that are due, one workspace after the other, and vacuums the table like autovacuum. */
async function fill(db: pg.Client, { callbacks, workspaces, ids }: Backlog): Promise<void> {
  await db.query(
    `INSERT INTO callbacks (id, workspace, received_at, due_at, object_ids)
     SELECT gen_random_uuid(), ($2::text[])[1 + i % $3], at, at, ARRAY(SELECT i * 1000 + k FROM generate_series(1, $4::bigint) AS k)
     FROM (SELECT i, now() - interval '1 hour' + i * interval '1 ms' AS at FROM generate_series(1, $1::int) AS i) AS each`,
    [callbacks, workspaces, workspaces.length, ids],
  )
  await db.query('VACUUM ANALYZE callbacks')
}

/** Inserts one callback, and waits until it is completed. @returns milliseconds between the two, by the database's clock */
async function processOne(db: pg.Client, workspace: string, arrived: (workspace: string) => void): Promise<number> {
  const { rows } = await db.query(
    `INSERT INTO callbacks (id, workspace, object_ids) VALUES (gen_random_uuid(), $1, ARRAY[floor(random() * 1e15)::bigint]) RETURNING id`,
    [workspace],
  )
  arrived(workspace)
  return until(
    async () => {
      const { rows: done } = await db.query(
        `SELECT extract(epoch FROM finished_at - received_at)::float8 * 1000 AS ms FROM callbacks WHERE id = $1 AND state = 'completed'`,
        [rows[0].id],
      )
      return done[0]?.ms as number | undefined
    },
    20_000,
    'the callback is completed',
  )
}
