import { Batcher } from '#foundation/batcher.ts'
import { type Context, context } from '#foundation/telemetry.ts'
import type { PrismaClient } from '#prisma'
import type { FetchedObject } from '../domain/fetched-object.ts'
import type { ObjectId } from '../domain/object-id.ts'
import { ValueRefusedError } from '../domain/storage-errors.ts'
import { inDatabase } from './database.ts'
import { type ExpiredRow, StoreSpans, traceExpiry } from './object-spans.ts'

/** How long an answer waits for others before it is stored: long enough to share a statement, too short to be noticed. */
const LINGER_MS = 10

/** An object as readers see it. */
export interface ObjectRow {
  readonly id: ObjectId
  readonly online: boolean
  readonly last_seen_at: Date | null
  readonly stored_at: Date
  readonly expires_at: Date
  readonly callback_id: string
}

/** What one pass of expiry did. */
export interface Expired {
  /** How late each deleted object went, milliseconds; never negative. */
  readonly latenessMs: readonly number[]
  /** Milliseconds until the next object expires; undefined when there is none. */
  readonly nextInMs: number | undefined
}

export interface ObjectStoreOptions {
  readonly prisma: PrismaClient
  /** Seconds an object lives after it is stored; read for each statement. */
  readonly ttlSeconds: () => number
  readonly onStored: (count: number, seconds: number) => void
}

interface Sighting {
  readonly object: FetchedObject
  readonly callbackId: string
  readonly context: Context
}

/** The objects last seen, each until it expires. No reader gets one that is past its time, deleted or not. */
export class ObjectStore {
  readonly #prisma: PrismaClient
  readonly #ttlSeconds: () => number
  readonly #batcher: Batcher<Sighting, undefined>

  constructor(options: ObjectStoreOptions) {
    this.#prisma = options.prisma
    this.#ttlSeconds = options.ttlSeconds
    this.#batcher = new Batcher({
      write: sightings => this.#upsert(sightings),
      maxBatch: 500,
      maxInFlight: 2,
      lingerMs: LINGER_MS,
      isItemFault: error => error instanceof ValueRefusedError,
      onWrite: options.onStored,
    })
  }

  /**
   * Stores an object just fetched, in one statement with others that come within 10 ms, in the trace that is active here.
   * Safe to repeat; a fetch that left before the stored one changes nothing. Times are the database's.
   * @throws {StorageUnavailableError} not stored, or nobody knows
   */
  upsert(object: FetchedObject, callbackId: string): Promise<void> {
    return this.#batcher.add({ object, callbackId, context: context.active() })
  }

  /** @throws {StorageUnavailableError} */
  async find(id: ObjectId): Promise<ObjectRow | undefined> {
    const rows = await inDatabase(
      () => this.#prisma.$queryRaw<ObjectRow[]>`
        SELECT id, online, last_seen_at, stored_at, expires_at, callback_id FROM objects
        WHERE id = ${id} AND expires_at > clock_timestamp()`,
    )
    return rows[0]
  }

  /**
   * One page, in the order of ids.
   * @param page.after the last id of the page before
   * @throws {StorageUnavailableError}
   */
  list(page: { online: boolean | undefined; after: ObjectId | undefined; limit: number }): Promise<ObjectRow[]> {
    const { online = null, after = null, limit } = page
    return inDatabase(
      () => this.#prisma.$queryRaw<ObjectRow[]>`
        SELECT id, online, last_seen_at, stored_at, expires_at, callback_id FROM objects
        WHERE (${after}::bigint IS NULL OR id > ${after}::bigint)
          AND (${online}::boolean IS NULL OR online = ${online}::boolean)
          AND expires_at > clock_timestamp()
        ORDER BY id LIMIT ${limit}`,
    )
  }

  /**
   * Deletes objects whose time has come, the longest overdue first; rows that another service is deleting are left to it.
   * @param limit at most so many
   * @throws {StorageUnavailableError}
   */
  async deleteExpired(limit: number): Promise<Expired> {
    const started = Date.now()
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ expired: ExpiredRow[] | null; next_in_ms: number | null }[]>`
        WITH due AS MATERIALIZED (
          SELECT id FROM objects WHERE expires_at <= now() ORDER BY expires_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
        ), expired AS (
          -- By an array, not a join: statistics of rows that live half a minute are always stale, and a join is then planned as a scan of all.
          DELETE FROM objects o WHERE o.id = ANY (ARRAY(SELECT id FROM due))
          RETURNING extract(epoch FROM clock_timestamp() - o.expires_at)::float8 * 1000 AS late_ms, o.traceparent
        )
        SELECT (SELECT json_agg(expired) FROM expired) AS expired,
          extract(epoch FROM (SELECT min(expires_at) FROM objects WHERE expires_at > now()) - clock_timestamp())::float8 * 1000 AS next_in_ms`,
    )
    const expired = row?.expired ?? []
    traceExpiry(expired, started)
    return { latenessMs: expired.map(object => object.late_ms), nextInMs: row?.next_in_ms ?? undefined }
  }

  /** Objects that have not expired. */
  async count(): Promise<number> {
    const rows = await inDatabase(
      () => this.#prisma.$queryRaw<{ count: bigint }[]>`SELECT count(*) AS count FROM objects WHERE expires_at > clock_timestamp()`,
    )
    return Number(rows[0]?.count ?? 0)
  }

  async #upsert(sightings: readonly Sighting[]): Promise<undefined[]> {
    const spans = new StoreSpans()
    const rows = latestOfEach(sightings).map(({ object, callbackId, context: parent, isSeen }) => ({
      id: String(object.id),
      online: object.online,
      seen: isSeen,
      fetched_ms: object.fetchedAtMs,
      callback_id: callbackId,
      traceparent: spans.traceparentFor(parent),
    }))
    try {
      await inDatabase(
        () => this.#prisma.$executeRaw`
          INSERT INTO objects (id, online, last_seen_at, fetched_at, stored_at, expires_at, callback_id, traceparent)
          SELECT r.id, r.online, CASE WHEN r.seen THEN t.now END, to_timestamp(r.fetched_ms / 1000), t.now,
            t.now + make_interval(secs => ${this.#ttlSeconds()}::float8), r.callback_id, r.traceparent
          FROM json_to_recordset(${JSON.stringify(rows)}::json) AS
            r(id bigint, online boolean, seen boolean, fetched_ms float8, callback_id uuid, traceparent text),
            (SELECT clock_timestamp() AS now OFFSET 0) t
          -- One order for all writers: two that store the same objects wait for each other instead of deadlocking.
          ORDER BY r.id
          ON CONFLICT (id) DO UPDATE SET
            online = excluded.online,
            last_seen_at = coalesce(excluded.last_seen_at, objects.last_seen_at),
            fetched_at = excluded.fetched_at,
            stored_at = excluded.stored_at,
            expires_at = excluded.expires_at,
            callback_id = excluded.callback_id,
            traceparent = excluded.traceparent
          WHERE objects.fetched_at <= excluded.fetched_at`,
      )
      spans.end()
    } catch (error) {
      spans.fail(error)
      throw error
    }
    return sightings.map(() => undefined)
  }
}

/** One statement may not touch a row twice: of an object that was fetched twice the later fetch counts, and it was seen if either saw it. */
function latestOfEach(sightings: readonly Sighting[]): (Sighting & { isSeen: boolean })[] {
  const latest = new Map<ObjectId, Sighting & { isSeen: boolean }>()
  for (const sighting of sightings) {
    const other = latest.get(sighting.object.id)
    const isSeen = sighting.object.online || (other?.isSeen ?? false)
    const later = other && other.object.fetchedAtMs > sighting.object.fetchedAtMs ? other : sighting
    latest.set(sighting.object.id, { ...later, isSeen })
  }
  return [...latest.values()]
}
