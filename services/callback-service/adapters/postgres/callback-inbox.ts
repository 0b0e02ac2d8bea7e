import { hostname } from 'node:os'
import { Batcher, BatcherFullError, BatchTimeoutError } from '#foundation/batcher.ts'
import type { PrismaClient } from '#prisma'
import { IdempotencyKeyReusedError, OverloadedError } from '../../domain/accepting/accept-errors.ts'
import { scopedKey } from '../../domain/accepting/idempotency-key.ts'
import type { Accepted } from '../../domain/accepting/intake.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { keyedCallbackId } from '../callback-id.ts'
import { type CallbackColumns, columns, type NewCallback } from '../new-callback.ts'
import type { SpooledRow } from '../spool/spool-file.ts'
import { inDatabase, LEAVE_A_MARK, WAIT_FOR_DISK } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'
import { ENTRY_TIME } from './steering-sql.ts'

export interface CallbackInboxOptions {
  readonly prisma: PrismaClient
  readonly clock: DatabaseClock
  readonly maxBatch: number
  readonly maxInFlight: number
  readonly maxWaiting: number
  readonly timeoutMs: number
  readonly onCommit: (size: number, seconds: number) => void
  /** Called after a commit, once for each workspace that has new callbacks. */
  readonly onArrived: (workspace: string) => void
}

/** Two callbacks with one idempotency key and different object ids that were both answered with 202. */
export interface Rivals {
  readonly id: string
  /** The id of the callback that has the key. */
  readonly ownerId: string
}

/** The callback that the database has under an id or an idempotency key. */
interface Owner {
  readonly id: string
  readonly received_at: Date
  /** Whether it names the same objects, possibly in another order. */
  readonly is_same: boolean
}

/**
 * Inserts callbacks into the database. Callbacks that arrive together share one multi-row insert, and each is answered when its row is
 * committed. The insert is one auto-committed statement. A process killed at any point therefore leaves either the whole row or none.
 */
export class CallbackInbox {
  readonly #prisma: PrismaClient
  readonly #clock: DatabaseClock
  readonly #onArrived: (workspace: string) => void
  readonly #batcher: Batcher<NewCallback, Accepted | Error>

  constructor(options: CallbackInboxOptions) {
    this.#prisma = options.prisma
    this.#clock = options.clock
    this.#onArrived = options.onArrived
    this.#batcher = new Batcher({
      write: rows => this.#insertAll(rows),
      maxBatch: options.maxBatch,
      maxInFlight: options.maxInFlight,
      maxWaiting: options.maxWaiting,
      timeoutMs: options.timeoutMs,
      isItemFault: error => error instanceof ValueRefusedError,
      onWrite: options.onCommit,
    })
  }

  /** Callbacks that wait for a commit. */
  get waiting(): number {
    return this.#batcher.waiting
  }

  /**
   * Resolves when the row is on the disk.
   * @throws {StorageUnavailableError} the row was not committed, or the outcome is unknown
   * @throws {OverloadedError} too many callbacks are waiting already; nothing was stored
   * @throws {IdempotencyKeyReusedError} the key came with other object ids before
   * @throws {ValueRefusedError} Postgres refuses this row
   */
  async insert(callback: NewCallback): Promise<Accepted> {
    const result = await this.#batcher.add(callback).catch(translate)
    if (result instanceof Error) throw result
    return result
  }

  async #insertAll(rows: readonly NewCallback[]): Promise<(Accepted | Error)[]> {
    // The statement returns one row for all callbacks. It lists the inserted ids only if some were not inserted. The callbacks of one
    // commit have the same time of receipt. They are due a microsecond apart, so that they are claimed in the order in which they came.
    const sentMs = performance.now()
    const [inserted] = await inDatabase(
      () => this.#prisma.$queryRaw<{ received_at: Date | null; received_ms: number | null; ids: string[] | null }[]>`
        WITH inserted AS (
          INSERT INTO callbacks (id, workspace, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at)
          SELECT id, workspace, object_ids::bigint[], idempotency_key, request_id, traceparent, tracestate, baggage, t.now,
            t.now + n * interval '1 microsecond'
          FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows.map(columns))}::json)
              AS (id uuid, workspace text, object_ids text, idempotency_key text, request_id text, traceparent text, tracestate text, baggage text)
            ) WITH ORDINALITY AS r(id, workspace, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, n),
            (SELECT clock_timestamp() AS now, ${WAIT_FOR_DISK} OFFSET 0) t
          -- ON CONFLICT waits for every transaction that changes the row with the key. A flush or an operation changes many rows, and all callbacks
          -- of this commit would wait. A subquery with LIMIT is always a look at the index, never a join that reads the table.
          WHERE (r.idempotency_key IS NULL
            OR (SELECT c.id FROM callbacks c WHERE c.workspace = r.workspace AND c.idempotency_key = r.idempotency_key LIMIT 1) IS NULL)
          -- All writers use the same order, so that two with the same keys wait for each other and cannot deadlock. The first of two rivals wins.
          ORDER BY workspace, idempotency_key, n
          ON CONFLICT DO NOTHING
          RETURNING id, received_at
        )
        SELECT min(received_at) AS received_at, extract(epoch FROM min(received_at))::float8 * 1000 AS received_ms,
          CASE WHEN count(*) < ${rows.length} THEN coalesce(array_agg(id::text), '{}') END AS ids FROM inserted`,
    )
    // A callback that is spooled after this answer gets its time by this clock, and must not be due before these.
    if (inserted?.received_ms) this.#clock.observe(inserted.received_ms, sentMs)
    if (inserted?.received_at) for (const workspace of workspacesOf(rows)) this.#onArrived(workspace)
    const accepted = ({ id }: NewCallback): Accepted => ({ id, receivedAt: inserted?.received_at as Date, isReplay: false })
    if (!inserted?.ids) return rows.map(accepted)
    // The result goes by position, because copies have the same id and only the first of them was inserted.
    const left = new Set(inserted.ids)
    const isInserted = rows.map(({ id }) => left.delete(id))
    const owners = (await this.#findOwners(rows.filter((_, n) => !isInserted[n]).map(columns))).values()
    return rows.map((row, n) => (isInserted[n] ? accepted(row) : outcomeUnder(owners.next().value, row)))
  }

  /**
   * Takes over spooled callbacks in their order, with their times of receipt. Safe to repeat: rows that are there already stay as they are.
   * The exception is a row of an insert that hung and succeeded later. If nobody has worked on it yet, it gets the time that its sender was
   * told. If another callback has the idempotency key, the spooled one is kept without the key, because it was answered with 202.
   * @returns the callbacks kept without their key, each with the owner of the key
   * @throws {StorageUnavailableError} the outcome is unknown; try again
   * @throws {ValueRefusedError} Postgres refuses one of the rows; none was taken
   */
  async takeOver(rows: readonly SpooledRow[]): Promise<Rivals[]> {
    const inserted = await inDatabase(
      () => this.#prisma.$executeRaw`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}, ${LEAVE_A_MARK}),
        spooled AS MATERIALIZED (
          -- No time lies in the future, whatever the spool's clock said. The rows are due in the order of the spool, even if its clock went back.
          SELECT r.*, least(to_timestamp(received_ms / 1000), t.now) AS received_at,
            least(to_timestamp(max(received_ms) OVER (ORDER BY n) / 1000), t.now - max(n) OVER () * interval '1 microsecond')
              + n * interval '1 microsecond' AS due_at
          FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows)}::json) AS (id uuid, workspace text, object_ids text, idempotency_key text, request_id text,
              traceparent text, tracestate text, baggage text, received_ms float8)
            ) WITH ORDINALITY AS r(id, workspace, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_ms, n),
            (SELECT clock_timestamp() AS now OFFSET 0) t
        ), moved AS (
          UPDATE callbacks c SET received_at = s.received_at, due_at = s.due_at, steered_at = clock_timestamp() FROM spooled s
          -- The array forces a search by the primary key. After an outage the statistics know of no backlog, and a join would read all of it.
          WHERE c.id = ANY (ARRAY(SELECT id FROM spooled)) AND c.id = s.id AND c.state = 'pending' AND c.attempts = 0
            AND c.received_at > s.received_at
        )
        INSERT INTO callbacks (id, workspace, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at,
          steered_at, timeline)
        SELECT id, workspace, object_ids::bigint[], idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at,
          -- Readers of changes cannot find it by its times, which are old.
          clock_timestamp(), jsonb_build_array(${ENTRY_TIME} || jsonb_build_object('event', 'drained', 'spooled_at', floor(received_ms)::bigint, 'host', ${hostname()}::text))
        FROM spooled, durable
        ORDER BY workspace, idempotency_key, n
        ON CONFLICT DO NOTHING`,
    )
    for (const workspace of workspacesOf(rows)) this.#onArrived(workspace)
    if (inserted === rows.length) return []
    const owners = await this.#findOwners(rows)
    if (owners.includes(undefined)) throw forgottenJustNow()
    const rivals = rows.flatMap((row, n) => (owners[n]?.is_same ? [] : [{ row, ownerId: owners[n]?.id as string }]))
    if (rivals.length > 0) await this.takeOver(rivals.map(({ row }) => withoutKey(row)))
    return rivals.map(({ row, ownerId }) => ({ id: row.id, ownerId }))
  }

  /** @returns for each row, by position, the callback that has its id or its idempotency key; undefined if there is none */
  async #findOwners(rows: readonly CallbackColumns[]): Promise<(Owner | undefined)[]> {
    const found = await inDatabase(
      () => this.#prisma.$queryRaw<(Owner & { n: number })[]>`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}, ${LEAVE_A_MARK})
        SELECT r.n::int, c.id, c.received_at, c.is_same
        FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows)}::json) AS (id uuid, workspace text, object_ids text, idempotency_key text)
          ) WITH ORDINALITY AS r(id, workspace, object_ids, idempotency_key, n),
          LATERAL (
            SELECT id, received_at,
              ARRAY(SELECT unnest(object_ids) ORDER BY 1) = ARRAY(SELECT unnest(r.object_ids::bigint[]) ORDER BY 1) AS is_same
            FROM (
              SELECT id, received_at, object_ids FROM callbacks WHERE id = r.id
              UNION ALL
              SELECT id, received_at, object_ids FROM callbacks WHERE workspace = r.workspace AND idempotency_key = r.idempotency_key
            ) known
            ORDER BY is_same DESC LIMIT 1
          ) c, durable`,
    )
    const owners = new Map(found.map(owner => [owner.n, owner]))
    return rows.map((_, i) => owners.get(i + 1))
  }
}

function workspacesOf(rows: readonly { readonly workspace: string }[]): ReadonlySet<string> {
  return new Set(rows.map(({ workspace }) => workspace))
}

function outcomeUnder(owner: Owner | undefined, { idempotencyKey }: NewCallback): Accepted | Error {
  if (!owner) return forgottenJustNow()
  if (!owner.is_same) return new IdempotencyKeyReusedError()
  // Without a key it is the same callback, not a replay. The spool did not answer in time, but kept the callback and gave it to the
  // database.
  return { id: owner.id, receivedAt: owner.received_at, isReplay: idempotencyKey !== undefined }
}

/**
 * Removes the key of a row, and makes its id from the key and the object ids. Earlier releases used the key alone, so rivals had the same
 * id.
 */
function withoutKey(row: SpooledRow): SpooledRow {
  return {
    ...row,
    id: keyedCallbackId(scopedKey(row.workspace, row.idempotency_key ?? row.id), row.object_ids),
    idempotency_key: undefined,
  }
}

/** The error for a conflict with a callback that has been deleted since. The next try inserts the row. */
function forgottenJustNow(): StorageUnavailableError {
  return new StorageUnavailableError('the callback with this key was deleted just now')
}

function translate(error: unknown): never {
  if (error instanceof BatchTimeoutError) throw new StorageUnavailableError('the database did not answer in time', { cause: error })
  if (error instanceof BatcherFullError) throw new OverloadedError('too many callbacks wait for a commit', { cause: error })
  throw error
}
