import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { benchmark } from './support/benchmark.ts'
import { type Answers, callbackOf, load, loadAndCount } from './support/load.ts'

const CONNECTIONS = 64

const PEERS = [
  { name: 'Prisma create', store: 'prisma-create', table: 'callbacks', least: 6 },
  { name: 'pg-boss send', store: 'pg-boss-send', table: 'pgboss.job', least: 6 },
  { name: 'pg-boss insert, batched', store: 'pg-boss-batches', table: 'pgboss.job', least: 1.3 },
  { name: 'graphile addJob', store: 'graphile-add-job', table: 'graphile_worker._private_jobs', least: 6 },
] as const

interface Door {
  readonly url: string
  /** The table in which each callback becomes a row. */
  readonly table: string
}

/**
 * Compares our inbox with other ways to store a callback. These are a `create` of Prisma, a job of pg-boss or of graphile-worker for each
 * request, and pg-boss behind our own group commit. The app, the database server and the durability are the same; only the storing differs.
 */
await benchmark(
  {
    name: 'accept-peers',
    title: 'durable 202s, against the same app with other ways to store',
    settings: { rounds: 5, warmUpSeconds: 2, seconds: 4, ids: 100 },
    quick: { rounds: 1, warmUpSeconds: 0, seconds: 1 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample }) => {
    const { warmUpSeconds, seconds, ids } = settings
    const body = callbackOf(range(1, ids))
    const ours: Door = { url: (await callbackService()).url, table: 'callbacks' }
    const peers = await Promise.all(
      PEERS.map(async peer => {
        const { url } = await program('bench/support/accept-peer.ts', { DATABASE_URL: databaseUrl, PEER_STORE: peer.store })
        return { ...peer, url }
      }),
    )

    /** Measures one candidate. It empties the tables first, because our service would count rows that others left. */
    const accept = async ({ url, table }: Door): Promise<Answers> => {
      await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, pgboss.job, graphile_worker._private_jobs'))
      return loadAndCount({ url, connections: CONNECTIONS, seconds, body }, databaseUrl, table)
    }

    if (warmUpSeconds > 0)
      for (const { url } of [ours, ...peers]) await load({ url, connections: CONNECTIONS, seconds: warmUpSeconds, body })
    await rounds(async () => {
      const our = await accept(ours)
      sample('ours: accepted a second', our.perSecond)
      sample('ours: p99 ms', our.p99Ms)
      for (const { name, least, ...peer } of peers) {
        const their = await accept(peer)
        sample(`${name}: accepted a second`, their.perSecond)
        sample(`${name}: p99 ms`, their.p99Ms)
        sample(`ours, times ${name}`, our.perSecond / their.perSecond, { atLeast: least })
      }
    })
  },
)
