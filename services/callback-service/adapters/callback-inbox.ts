import { Batcher, BatcherFullError, BatchTimeoutError } from '#foundation/batcher.ts'
import type { PrismaClient } from '#prisma'
import { IdempotencyKeyReusedError, OverloadedError } from '../domain/accept-errors.ts'
import type { Accepted } from '../domain/acceptance.ts'
import { StorageUnavailableError, ValueRefusedError } from '../domain/storage-errors.ts'
import { inDatabase } from './database.ts'
import { type CallbackColumns, columns, type NewCallback } from './new-callback.ts'
import type { SpooledRow } from './spool-file.ts'

export interface CallbackInboxOptions {
  readonly prisma: PrismaClient
  readonly maxBatch: number
  readonly maxInFlight: number
  readonly maxWaiting: number
  readonly timeoutMs: number
  readonly onCommit: (size: number, seconds: number) => void
}

/**
 * Accepts callbacks: those that arrive together share one multi-row insert, and each is answered when its row is committed.
 * One auto-committed statement, so that a process killed anywhere leaves a row or none.
 */
export class CallbackInbox {
  readonly #prisma: PrismaClient
  readonly #batcher: Batcher<NewCallback, Accepted | Error>

  constructor(options: CallbackInboxOptions) {
    this.#prisma = options.prisma
    this.#batcher = new Batcher({
      write: rows => this.#insert(rows),
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
  async accept(callback: NewCallback): Promise<Accepted> {
    const result = await this.#batcher.add(callback).catch(translate)
    if (result instanceof Error) throw result
    return result
  }

  async #insert(rows: readonly NewCallback[]): Promise<(Accepted | Error)[]> {
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
            (SELECT clock_timestamp() AS now OFFSET 0) t
          -- One order for all writers: two that insert the same keys wait for each other instead of deadlocking.
          ORDER BY idempotency_key
          ON CONFLICT DO NOTHING
          RETURNING id, received_at
        )
        SELECT min(received_at) AS received_at, CASE WHEN count(*) < ${rows.length} THEN coalesce(array_agg(id::text), '{}') END AS ids FROM inserted`,
    )
    const receivedAt = inserted?.received_at as Date
    const replays = await this.#findReplays(notAmong(inserted?.ids, rows).map(columns))
    return rows.map(row => replays.get(row.id) ?? { id: row.id, receivedAt, isReplay: false })
  }

  /**
   * Takes over what was spooled, with the moment each was received and in their order. Safe to repeat: what is there already is left as it
   * is, but for an insert that hung and came through after all: untouched yet, it gets the moment that its sender was told.
   * @returns the ids of those that were not taken, because their idempotency key came with other object_ids before
   * @throws {StorageUnavailableError}
   * @throws {ValueRefusedError} Postgres refuses one of the rows; none was taken
   */
  async takeOver(rows: readonly SpooledRow[]): Promise<ReadonlySet<string>> {
    const inserted = await inDatabase(
      () => this.#prisma.$executeRaw`
        WITH spooled AS MATERIALIZED (
          SELECT *, to_timestamp(received_ms / 1000) AS received_at, to_timestamp(received_ms / 1000) + n * interval '1 microsecond' AS due_at
          FROM ROWS FROM (json_to_recordset(${JSON.stringify(rows)}::json) AS (id uuid, object_ids text, idempotency_key text, request_id text,
              traceparent text, tracestate text, baggage text, received_ms float8)
            ) WITH ORDINALITY AS r(id, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_ms, n)
        ), moved AS (
          UPDATE callbacks c SET received_at = s.received_at, due_at = s.due_at FROM spooled s
          -- By the primary key, whatever the statistics say: after an outage they know of no backlog, and a join would read all of it.
          WHERE c.id = ANY (ARRAY(SELECT id FROM spooled)) AND c.id = s.id AND c.state = 'pending' AND c.attempts = 0
            AND c.received_at > s.received_at
        )
        INSERT INTO callbacks (id, object_ids, idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at)
        SELECT id, object_ids::bigint[], idempotency_key, request_id, traceparent, tracestate, baggage, received_at, due_at FROM spooled
        ORDER BY idempotency_key
        ON CONFLICT DO NOTHING`,
    )
    const known = inserted < rows.length ? await this.#findReplays(rows) : new Map()
    return new Set(rows.filter(({ id }) => known.get(id) instanceof IdempotencyKeyReusedError).map(({ id }) => id))
  }

  /** What is known under the keys of rows that were not inserted, by their ids. */
  async #findReplays(rows: readonly CallbackColumns[]): Promise<Map<string, Accepted | Error>> {
    if (rows.length === 0) return new Map()
    const found = await inDatabase(
      () => this.#prisma.$queryRaw<{ new_id: string; id: string; received_at: Date; is_same: boolean }[]>`
        SELECT r.id AS new_id, c.id, c.received_at, c.object_ids = r.object_ids::bigint[] AS is_same
        FROM json_to_recordset(${JSON.stringify(rows)}::json) AS r(id uuid, object_ids text, idempotency_key text)
        JOIN callbacks c USING (idempotency_key)`,
    )
    const firsts = new Map(found.map(row => [row.new_id, row]))
    return new Map(
      rows.map((row): [string, Accepted | Error] => {
        const first = firsts.get(row.id)
        if (!first) return [row.id, new StorageUnavailableError('the callback under this key was forgotten just now')]
        if (!first.is_same) return [row.id, new IdempotencyKeyReusedError('This idempotency key came with other object_ids before.')]
        return [row.id, { id: first.id, receivedAt: first.received_at, isReplay: true }]
      }),
    )
  }
}

function notAmong(ids: readonly string[] | null | undefined, rows: readonly NewCallback[]): readonly NewCallback[] {
  if (!ids) return []
  const inserted = new Set(ids)
  return rows.filter(row => !inserted.has(row.id))
}

function translate(error: unknown): never {
  if (error instanceof BatchTimeoutError) throw new StorageUnavailableError('the database did not answer in time', { cause: error })
  if (error instanceof BatcherFullError) throw new OverloadedError('too many callbacks wait for a commit', { cause: error })
  throw error
}
