import type { ObjectId } from '#fetching/object-id.ts'
import { Prisma, type PrismaClient } from '#prisma'
import type { ChangedCallback } from '../../domain/streaming/changed-callback.ts'
import { inDatabase } from './database.ts'

/** What a look at the database's clock shows. Times are epoch microseconds. */
export interface ClockLook {
  readonly nowUs: number
  /** Changes with a sign before this time are visible, or never will be. */
  readonly horizonUs: number
  readonly clockStep: number
}

export interface ChangePage {
  readonly callbacks: readonly ChangedCallback[]
  /** The snapshot that was read. */
  readonly snapshot: string
  /** Further changes may have a sign at or after this time. Undefined: there are no more. */
  readonly moreFromUs: number | undefined
}

/**
 * Time after which a transaction no longer holds up the horizon. Every statement of ours is a transaction of its own and ends sooner, by its
 * timeout of at most 5 s. Others may take hours: a dump, or a session that somebody forgot.
 */
const MAX_TRANSACTION_MS = 7000

/**
 * Finds callbacks that have changed, without a column or a write more on their way.
 *
 * Each row that changes has a *sign*: it is running, or it is pending and due then or later, or it finished then, or somebody steered it then. Each
 * sign has an index. A row may become visible long after its sign, when its transaction commits. So the reader goes on from the *horizon*,
 * the start of the oldest transaction that was running, and reads some rows again. Those whose version the last snapshot showed are left out.
 */
export class CallbackChanges {
  readonly #prisma: PrismaClient

  constructor({ prisma }: { readonly prisma: PrismaClient }) {
    this.#prisma = prisma
  }

  /** Reads the clock and the horizon. Call it before `read`. @throws {StorageUnavailableError} */
  async look(): Promise<ClockLook> {
    // The time of the statement is before the look at the transactions. One that begins in between has only later signs. A transaction that
    // waits for a synchronous standby has committed, and no timeout ends its wait: it counts however old it is.
    // Without track_activities nobody knows when transactions began.
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ now_us: number; horizon_us: number; clock_step: number }[]>`
        SELECT ${micros(Prisma.sql`statement_timestamp()`)} AS now_us, ${micros(Prisma.sql`least(
            greatest(
              CASE WHEN current_setting('track_activities')::boolean THEN coalesce(min(xact_start), statement_timestamp()) ELSE '-infinity' END,
              statement_timestamp() - ${MAX_TRANSACTION_MS}::float8 * interval '1 ms'),
            min(xact_start) FILTER (WHERE wait_event = 'SyncRep'),
            statement_timestamp())`)} AS horizon_us,
          (SELECT coalesce(max(number), 0)::int FROM clock_steps) AS clock_step
        FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    )
    if (!row) throw new Error('an aggregate without groups has one row')
    return { nowUs: row.now_us, horizonUs: row.horizon_us, clockStep: row.clock_step }
  }

  /**
   * Reads callbacks of a workspace that changed, each once, in its newest state.
   * @param options.fromUs the sign is at this time or later
   * @param options.seen a snapshot: versions of rows that it shows are left out
   * @param options.watched objects of interest
   * @param options.limit maximum number of callbacks for each sign and priority; those that run are all read
   * @throws {StorageUnavailableError}
   */
  async read(options: {
    readonly workspace: string
    readonly fromUs: number
    readonly seen: string | undefined
    readonly watched: readonly ObjectId[]
    readonly limit: number
  }): Promise<ChangePage> {
    const { workspace, fromUs, seen, watched, limit } = options
    const from = Prisma.sql`('epoch'::timestamptz + ${fromUs}::float8 * interval '1 microsecond')`
    const isNew = seen === undefined ? Prisma.sql`true` : isNewSince(seen)
    const facts = factsOf(watched)
    // Each sign is a subquery with known bounds, so that each uses its index. Without statistics, Postgres takes a range with one end for a third
    // of the table and reads all of it, but a range with two ends for little.
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<FoundRow[]>`
        WITH RECURSIVE ${prioritiesOf(workspace)}, found AS (
          SELECT * FROM (SELECT ${facts}, 'finished' AS sign, finished_at AS sign_at FROM callbacks c
            WHERE finished_at >= ${from} AND finished_at < 'infinity' AND workspace = ${workspace} AND ${isNew} ORDER BY finished_at LIMIT ${limit}) AS finished
          UNION ALL SELECT * FROM (SELECT ${facts}, 'steered', steered_at FROM callbacks c
            WHERE steered_at >= ${from} AND workspace = ${workspace} AND ${isNew} ORDER BY workspace, steered_at LIMIT ${limit}) AS steered
          UNION ALL SELECT ${facts}, 'running', NULL FROM callbacks c WHERE state = 'running' AND workspace = ${workspace} AND ${isNew}
          UNION ALL SELECT pending.* FROM priorities p CROSS JOIN LATERAL (
            SELECT ${facts}, 'pending ' || priority, due_at FROM callbacks c
            WHERE state = 'pending' AND workspace = ${workspace} AND priority = p.priority AND due_at >= ${from} AND ${isNew}
            ORDER BY workspace, priority DESC, due_at LIMIT ${limit}) AS pending
        )
        SELECT pg_current_snapshot()::text AS snapshot,
          (SELECT json_agg(json_build_object('facts', facts, 'sign', sign, 'signUs', ${micros(Prisma.sql`sign_at`)}))::text FROM found) AS found`,
    )
    const found = JSON.parse(row?.found ?? '[]') as readonly Found[]
    return { snapshot: row?.snapshot as string, callbacks: distinct(found), moreFromUs: nextOf(found, limit) }
  }

  /**
   * Reads the unfinished callbacks of a workspace that were received last.
   * @param options.limit of those that are pending, it looks only at so many of each priority: at those that are due last
   * @throws {StorageUnavailableError}
   */
  async unfinished(options: {
    readonly workspace: string
    readonly watched: readonly ObjectId[]
    readonly limit: number
  }): Promise<Omit<ChangePage, 'moreFromUs'>> {
    const { workspace, watched, limit } = options
    const facts = Prisma.sql`${factsOf(watched)}, received_at, id`
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<FoundRow[]>`
        WITH RECURSIVE ${prioritiesOf(workspace)}, found AS (
          SELECT ${facts} FROM callbacks c WHERE state = 'running' AND workspace = ${workspace}
          UNION ALL SELECT * FROM (SELECT ${facts} FROM callbacks c WHERE state = 'paused' AND workspace = ${workspace}
            ORDER BY workspace DESC, id DESC LIMIT ${limit}) AS paused
          UNION ALL SELECT pending.* FROM priorities p CROSS JOIN LATERAL (
            SELECT ${facts} FROM callbacks c WHERE state = 'pending' AND workspace = ${workspace} AND priority = p.priority
            ORDER BY workspace DESC, priority, due_at DESC LIMIT ${limit}) AS pending
        ), newest AS (SELECT * FROM found ORDER BY received_at DESC, id DESC LIMIT ${limit})
        SELECT pg_current_snapshot()::text AS snapshot,
          (SELECT json_agg(json_build_object('facts', facts) ORDER BY received_at DESC, id DESC)::text FROM newest) AS found`,
    )
    return { snapshot: row?.snapshot as string, callbacks: distinct(JSON.parse(row?.found ?? '[]') as readonly Found[]) }
  }
}

interface FoundRow {
  readonly snapshot: string
  readonly found: string | null
}

interface Facts extends Omit<ChangedCallback, 'receivedAt' | 'dueAt' | 'finishedAt' | 'watched'> {
  readonly receivedAt: string
  readonly dueAt: string
  readonly finishedAt: string | null
  readonly watched: readonly string[]
}

/** A row, once for each of its signs. */
interface Found {
  readonly facts: Facts
  readonly sign: string
  readonly signUs: number | null
}

/** The common table expression `priorities`: those of the pending callbacks, found in leaps over the index. */
function prioritiesOf(workspace: string): Prisma.Sql {
  return Prisma.sql`priorities AS (
          (SELECT priority FROM callbacks WHERE state = 'pending' AND workspace = ${workspace} ORDER BY workspace, priority DESC, due_at LIMIT 1)
          UNION ALL
          SELECT next.priority FROM priorities p CROSS JOIN LATERAL (
            SELECT priority FROM callbacks WHERE state = 'pending' AND workspace = ${workspace} AND priority < p.priority
            ORDER BY workspace, priority DESC, due_at LIMIT 1) AS next
        )`
}

/** The column `facts`: what listeners need of a row. Ids of objects are texts, because most JSON readers lose digits. */
function factsOf(watched: readonly ObjectId[]): Prisma.Sql {
  const named =
    watched.length === 0
      ? Prisma.sql`'[]'::json`
      : Prisma.sql`(SELECT coalesce(json_agg(o::text), '[]') FROM unnest(object_ids) o WHERE o = ANY (${watched.map(String)}::bigint[]))`
  return Prisma.sql`json_build_object('id', id, 'workspace', workspace, 'state', state, 'priority', priority, 'wish', wish, 'attempts', attempts, 'objectCount', cardinality(object_ids),
    'requestId', request_id, 'traceparent', traceparent, 'receivedAt', received_at, 'dueAt', due_at, 'finishedAt', finished_at,
    'wasRetried', retried_at IS NOT NULL, 'wasSteered', steered_at IS NOT NULL, 'watched', ${named}) AS facts`
}

/**
 * Whether a row has a version that a snapshot does not show. `xmin` has only 32 bits of the number of the transaction that wrote it. The rest
 * comes from the newest number, which is less than 2^32 ahead.
 */
function isNewSince(snapshot: string): Prisma.Sql {
  const newest = Prisma.sql`(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)`
  return Prisma.sql`NOT pg_visible_in_snapshot((${newest} - ((${newest} - c.xmin::text::bigint) & 4294967295))::text::xid8, ${snapshot}::pg_snapshot)`
}

function micros(time: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`(extract(epoch FROM ${time}) * 1000000)::float8`
}

/** Where the first of the signs goes on that the limit has cut short. */
function nextOf(found: readonly Found[], limit: number): number | undefined {
  const cut = [...Map.groupBy(found, ({ sign }) => sign)].filter(([sign, rows]) => sign !== 'running' && rows.length >= limit)
  return cut.length === 0 ? undefined : Math.min(...cut.map(([, rows]) => Math.max(...rows.map(({ signUs }) => signUs ?? 0))))
}

function distinct(found: readonly Found[]): ChangedCallback[] {
  return [...new Map(found.map(({ facts }) => [facts.id, facts])).values()].map(({ receivedAt, dueAt, finishedAt, watched, ...facts }) => ({
    ...facts,
    receivedAt: new Date(receivedAt),
    dueAt: new Date(dueAt),
    finishedAt: finishedAt === null ? null : new Date(finishedAt),
    watched: watched.map(BigInt),
  }))
}
