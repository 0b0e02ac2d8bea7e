import { Batcher, BatcherFullError, BatchTimeoutError } from '#foundation/batcher.ts'
import type { PrismaClient } from '#prisma'
import { IdempotencyKeyReusedError, OverloadedError } from '../../domain/accepting/accept-errors.ts'
import type { Accepted } from '../../domain/accepting/intake.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { keyedCallbackId } from '../callback-id.ts'
import { type CallbackColumns, columns, type NewCallback } from '../new-callback.ts'
import type { SpooledRow } from '../spool/spool-file.ts'
import { inDatabase, LEAVE_A_MARK, WAIT_FOR_DISK } from './database.ts'

export interface CallbackInboxOptions {
  readonly prisma: PrismaClient
  readonly maxBatch: number
  readonly maxInFlight: number
  readonly maxWaiting: number
  readonly timeoutMs: number
  readonly onCommit: (size: number, seconds: number) => void
}

/** Two callbacks that came with one idempotency key and different object ids, and were both acknowledged. */
export interface Rivals {
  readonly id: string
  /** Whose the key is. */
  readonly ownerId: string
}

/** What the database has under a callback's id or idempotency key. */
interface Owner {
  readonly id: string
  readonly received_at: Date
  /** Whether it names the same objects, in any order. */
  readonly is_same: boolean
}

/**
 * Inserts callbacks: those that arrive together share one multi-row insert, and each is answered when its row is committed.
 * One auto-committed statement, so that a process killed anywhere leaves a row or none.
 */
export class CallbackInbox {
  readonly #prisma: PrismaClient
  readonly #batcher: Batcher<NewCallback, Accepted | Error>

  constructor(options: CallbackInboxOptions) {
    this.#prisma = options.prisma
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
   * @returns when the row is on disk
   * @throws {StorageUnavailableError} not committed, or nobody knows
   * @throws {OverloadedError} too many wait already; nothing was stored
   * @throws {IdempotencyKeyReusedError} the key came with other ids before
   * @throws {ValueRefusedError} Postgres refuses this very row
   */
  async insert(callback: NewCallback): Promise<Accepted> {
    const result = await this.#batcher.add(callback).catch(translate)
    if (result instanceof Error) throw result
    return result
  }

  async #insertAll(rows: readonly NewCallback[]): Promise<(Accepted | Error)[]> {
    // One row comes back, not one a callback: which ids were inserted is told only when some were not. Callbacks of one commit are received at
    // the same moment, and due a microsecond apart, so that they are claimed in the order in which they came.
    const [inserted] = await inDatabase(
      () => this.#prisma.$queryRaw<{ received_at: Date | null; ids: string[] | null }[]>`
        WITH inserted AS (
          INSERT INTO callbacks (id, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at)
          SELECT id, object_ids::bigint[], idempotency_key, request_id, traceparent, tracestate, baggage, t.now, t.now + n * interval '1 microsecond'
          FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows.map(columns))}::json)
              AS (id uuid, object_ids text, idempotency_key text, request_id text, traceparent text, tracestate text, baggage text)
            ) WITH ORDINALITY AS r(id, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, n),
            (SELECT clock_timestamp() AS now, ${WAIT_FOR_DISK} OFFSET 0) t
          -- One order for all writers: two that insert the same keys wait for each other instead of deadlocking. Of rivals the first one wins.
          ORDER BY idempotency_key, n
          ON CONFLICT DO NOTHING
          RETURNING id, received_at
        )
        SELECT min(received_at) AS received_at, CASE WHEN count(*) < ${rows.length} THEN coalesce(array_agg(id::text), '{}') END AS ids FROM inserted`,
    )
    const accepted = ({ id }: NewCallback): Accepted => ({ id, receivedAt: inserted?.received_at as Date, isReplay: false })
    if (!inserted?.ids) return rows.map(accepted)
    // By position: copies have the same id, and only the first of them was inserted.
    const left = new Set(inserted.ids)
    const isInserted = rows.map(({ id }) => left.delete(id))
    const owners = (await this.#findOwners(rows.filter((_, n) => !isInserted[n]).map(columns))).values()
    return rows.map((row, n) => (isInserted[n] ? accepted(row) : outcomeUnder(owners.next().value, row)))
  }

  /**
   * Takes over what was spooled, with the moment each was received and in their order. Safe to repeat: what is there already is left as it
   * is, but for an insert that hung and came through after all: untouched yet, it gets the moment that its sender was told.
   * A callback whose idempotency key another one has is kept too, without the key: it was acknowledged.
   * @returns those, with whose the key is
   * @throws {StorageUnavailableError}
   * @throws {ValueRefusedError} Postgres refuses one of the rows; none was taken
   */
  async takeOver(rows: readonly SpooledRow[]): Promise<Rivals[]> {
    const inserted = await inDatabase(
      () => this.#prisma.$executeRaw`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}, ${LEAVE_A_MARK}),
        spooled AS MATERIALIZED (
          -- Never in the future, whatever clock the spool had, and due in the order of the spool, though that clock was put back meanwhile.
          SELECT r.*, least(to_timestamp(received_ms / 1000), t.now) AS received_at,
            least(to_timestamp(max(received_ms) OVER (ORDER BY n) / 1000), t.now - max(n) OVER () * interval '1 microsecond')
              + n * interval '1 microsecond' AS due_at
          FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows)}::json) AS (id uuid, object_ids text, idempotency_key text, request_id text,
              traceparent text, tracestate text, baggage text, received_ms float8)
            ) WITH ORDINALITY AS r(id, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_ms, n),
            (SELECT clock_timestamp() AS now OFFSET 0) t
        ), moved AS (
          UPDATE callbacks c SET received_at = s.received_at, due_at = s.due_at FROM spooled s
          -- By the primary key, whatever the statistics say: after an outage they know of no backlog, and a join would read all of it.
          WHERE c.id = ANY (ARRAY(SELECT id FROM spooled)) AND c.id = s.id AND c.state = 'pending' AND c.attempts = 0
            AND c.received_at > s.received_at
        )
        INSERT INTO callbacks (id, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at)
        SELECT id, object_ids::bigint[], idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at FROM spooled, durable
        ORDER BY idempotency_key, n
        ON CONFLICT DO NOTHING`,
    )
    if (inserted === rows.length) return []
    const owners = await this.#findOwners(rows)
    if (owners.includes(undefined)) throw forgottenJustNow()
    const rivals = rows.flatMap((row, n) => (owners[n]?.is_same ? [] : [{ row, ownerId: owners[n]?.id as string }]))
    if (rivals.length > 0) await this.takeOver(rivals.map(({ row }) => withoutKey(row)))
    return rivals.map(({ row, ownerId }) => ({ id: row.id, ownerId }))
  }

  /** @returns for each row what is known under its id or its idempotency key, by position */
  async #findOwners(rows: readonly CallbackColumns[]): Promise<(Owner | undefined)[]> {
    const found = await inDatabase(
      () => this.#prisma.$queryRaw<(Owner & { n: number })[]>`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}, ${LEAVE_A_MARK})
        SELECT r.n::int, c.id, c.received_at, c.is_same
        FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows)}::json) AS (id uuid, object_ids text, idempotency_key text)
          ) WITH ORDINALITY AS r(id, object_ids, idempotency_key, n),
          LATERAL (
            SELECT id, received_at,
              ARRAY(SELECT unnest(object_ids) ORDER BY 1) = ARRAY(SELECT unnest(r.object_ids::bigint[]) ORDER BY 1) AS is_same
            FROM (
              SELECT id, received_at, object_ids FROM callbacks WHERE id = r.id
              UNION ALL
              SELECT id, received_at, object_ids FROM callbacks WHERE idempotency_key = r.idempotency_key
            ) known
            ORDER BY is_same DESC LIMIT 1
          ) c, durable`,
    )
    const owners = new Map(found.map(owner => [owner.n, owner]))
    return rows.map((_, i) => owners.get(i + 1))
  }
}

function outcomeUnder(owner: Owner | undefined, { idempotencyKey }: NewCallback): Accepted | Error {
  if (!owner) return forgottenJustNow()
  if (!owner.is_same) return new IdempotencyKeyReusedError()
  // Without a key it is this very callback: the spool, which did not answer in time, has kept it and given it to the database.
  return { id: owner.id, receivedAt: owner.received_at, isReplay: idempotencyKey !== undefined }
}

/** A row with the id that its key and object ids give: the releases before made ids of the key alone, so that rivals had the same. */
function withoutKey(row: SpooledRow): SpooledRow {
  return { ...row, id: keyedCallbackId(row.idempotency_key ?? row.id, row.object_ids), idempotency_key: undefined }
}

/** The callback that was in the way is gone: tried again, this one is inserted. */
function forgottenJustNow(): StorageUnavailableError {
  return new StorageUnavailableError('the callback under this key was forgotten just now')
}

function translate(error: unknown): never {
  if (error instanceof BatchTimeoutError) throw new StorageUnavailableError('the database did not answer in time', { cause: error })
  if (error instanceof BatcherFullError) throw new OverloadedError('too many callbacks wait for a commit', { cause: error })
  throw error
}
