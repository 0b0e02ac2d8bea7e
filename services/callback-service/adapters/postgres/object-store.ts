import type { FetchedObject } from '#fetching/fetched-object.ts'
import { Batcher } from '#foundation/batcher.ts'
import { type Context, context } from '#foundation/telemetry/spans.ts'
import type { PrismaClient } from '#prisma'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { inDatabase, WAIT_FOR_DISK } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'
import { type ExpiredRow, StoreSpans, traceExpiry } from './object-spans.ts'

/** Time an answer waits for others before it is stored: long enough to share a statement, too short to matter. */
const LINGER_MS = 10

/** What one pass of expiry did. */
export interface Expired {
  /** Milliseconds from the expiry of each deleted object to its deletion, never negative. */
  readonly latenessMs: readonly number[]
  /** Milliseconds until the next object expires; undefined if there is none. */
  readonly nextInMs: number | undefined
}

export interface ObjectStoreOptions {
  readonly prisma: PrismaClient
  readonly clock: DatabaseClock
  /** Seconds from the storing of an object of a workspace to its expiry. It is read for each statement. */
  readonly ttlSeconds: (workspace: string) => number
  readonly onStored: (count: number, seconds: number) => void
}

/** The callback for which an object was fetched. */
interface Asker {
  readonly id: string
  readonly workspace: string
}

interface Sighting {
  readonly object: FetchedObject
  readonly callback: Asker
  readonly context: Context
}

/** Stores the last known state of each object until it expires. */
export class ObjectStore {
  readonly #prisma: PrismaClient
  readonly #clock: DatabaseClock
  readonly #ttlSeconds: (workspace: string) => number
  readonly #batcher: Batcher<Sighting, undefined>

  constructor(options: ObjectStoreOptions) {
    this.#prisma = options.prisma
    this.#clock = options.clock
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
   * Stores a fetched object, in the active trace and in one statement with others that come within 10 ms.
   * Safe to repeat: a fetch that left before the stored one changes nothing. Times are the database's. The object is on the disk when this
   * resolves. If the database crashes before the callback is settled, the object is therefore not lost.
   * @throws {StorageUnavailableError} the object was not stored, or the outcome is unknown
   */
  upsert(object: FetchedObject, callback: Asker): Promise<void> {
    return this.#batcher.add({ object, callback, context: context.active() })
  }

  /**
   * Deletes expired objects, the longest overdue first. It skips rows that another service is deleting. If the clock stepped forward, it
   * leaves objects that only seem expired until a replica has made up for the step.
   * @param limit maximum number of objects to delete
   * @throws {StorageUnavailableError} the outcome is unknown; try again
   */
  async deleteExpired(limit: number): Promise<Expired> {
    const started = Date.now()
    const sentMs = performance.now()
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ expired: ExpiredRow[] | null; next_in_ms: number | null; now_ms: number }[]>`
        WITH due AS MATERIALIZED (
          SELECT ctid FROM objects WHERE expires_at <= least(now(), to_timestamp(${this.#clock.latestNowMs()}::float8 / 1000))
          ORDER BY expires_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
        ), expired AS (
          -- An array instead of a join: the statistics of such short-lived rows are always stale, and Postgres would plan a join as a full scan.
          -- The rows are locked, so their places do not change.
          DELETE FROM objects o WHERE o.ctid = ANY (ARRAY(SELECT ctid FROM due))
          RETURNING extract(epoch FROM clock_timestamp() - o.expires_at)::float8 * 1000 AS late_ms, o.traceparent
        )
        SELECT (SELECT json_agg(expired) FROM expired) AS expired,
          extract(epoch FROM (SELECT min(expires_at) FROM objects WHERE expires_at > now()) - clock_timestamp())::float8 * 1000 AS next_in_ms,
          extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms`,
    )
    if (row) this.#clock.observe(row.now_ms, sentMs)
    const expired = row?.expired ?? []
    traceExpiry(expired, started)
    return { latenessMs: expired.map(object => object.late_ms), nextInMs: row?.next_in_ms ?? undefined }
  }

  async #upsert(sightings: readonly Sighting[]): Promise<undefined[]> {
    const spans = new StoreSpans()
    const latest = latestOfEach(sightings).map(sighting => ({ ...sighting, traceparent: spans.traceparentFor(sighting.context) }))
    try {
      // If the clock stepped unnoticed, the first try notices it. The second try then uses the times of the new clock.
      if (!(await this.#write(latest)) && !(await this.#write(latest))) {
        throw new StorageUnavailableError("the database's clock stepped while objects were stored")
      }
      spans.end()
    } catch (error) {
      spans.fail(error)
      throw error
    }
    return sightings.map(() => undefined)
  }

  /**
   * @returns false if the clock has stepped unnoticed, so that the times of the fetches are wrong. If it went back, nothing was written. If it went
   * forward, fetches may seem older than those whose times another replica has moved already.
   */
  async #write(sightings: readonly TracedSighting[]): Promise<boolean> {
    const rows = sightings.map(({ object, callback, isSeen, traceparent }) => ({
      workspace: callback.workspace,
      id: String(object.id),
      online: object.online,
      seen: isSeen,
      // If the clock has stepped since the request left, the time noted then is wrong. It is computed again by the new clock.
      fetched_ms: object.leftAtMs > this.#clock.steppedAtMs ? object.fetchedAtMs : this.#clock.at(object.leftAtMs),
      ttl_seconds: this.#ttlSeconds(callback.workspace),
      callback_id: callback.id,
      traceparent,
    }))
    const earliestNowMs = Math.max(this.#clock.earliestNowMs(), ...rows.map(row => row.fetched_ms))
    const sentMs = performance.now()
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ now_ms: number; is_written: boolean }[]>`
        WITH t AS MATERIALIZED (SELECT clock_timestamp() AS now, ${WAIT_FOR_DISK}), written AS (
          INSERT INTO objects (workspace, id, online, last_seen_at, fetched_at, stored_at, expires_at, callback_id, traceparent)
          SELECT r.workspace, r.id, r.online, CASE WHEN r.seen THEN t.now END, to_timestamp(r.fetched_ms / 1000), t.now,
            t.now + make_interval(secs => r.ttl_seconds), r.callback_id, r.traceparent
          FROM json_to_recordset(${JSON.stringify(rows)}::json) AS
            r(workspace text, id bigint, online boolean, seen boolean, fetched_ms float8, ttl_seconds float8, callback_id uuid, traceparent text), t
          WHERE to_timestamp(${earliestNowMs}::float8 / 1000) <= t.now
          -- All writers use the same order, so that two that store the same objects wait for each other and cannot deadlock.
          ORDER BY r.workspace, r.id
          ON CONFLICT (workspace, id) DO UPDATE SET
            online = excluded.online,
            last_seen_at = coalesce(excluded.last_seen_at, objects.last_seen_at),
            fetched_at = excluded.fetched_at,
            stored_at = excluded.stored_at,
            expires_at = excluded.expires_at,
            callback_id = excluded.callback_id,
            traceparent = excluded.traceparent
          -- What was stored in the future was stored before the clock went back. Then the times of the fetches cannot be compared.
          WHERE objects.fetched_at <= excluded.fetched_at OR objects.stored_at > clock_timestamp()
        )
        SELECT extract(epoch FROM now)::float8 * 1000 AS now_ms, to_timestamp(${earliestNowMs}::float8 / 1000) <= now AS is_written FROM t`,
    )
    if (row) this.#clock.observe(row.now_ms, sentMs)
    return row?.is_written === true && this.#clock.steppedAtMs < sentMs
  }
}

type TracedSighting = Sighting & { readonly isSeen: boolean; readonly traceparent: string | undefined }

/**
 * Keeps one sighting of each object, because one statement may not change a row twice. The later fetch counts. The object counts as seen if
 * any of its fetches found it online.
 */
function latestOfEach(sightings: readonly Sighting[]): (Sighting & { isSeen: boolean })[] {
  const latest = new Map<string, Sighting & { isSeen: boolean }>()
  for (const sighting of sightings) {
    const key = `${sighting.callback.workspace} ${sighting.object.id}`
    const other = latest.get(key)
    const isSeen = sighting.object.online || (other?.isSeen ?? false)
    const later = other && other.object.leftAtMs > sighting.object.leftAtMs ? other : sighting
    latest.set(key, { ...later, isSeen })
  }
  return [...latest.values()]
}
