import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { CallbackColumns } from './new-callback.ts'

/** A callback as it lies in the spool. `received_ms`: epoch milliseconds, by the database's clock as far as it was known. */
export interface SpooledRow extends CallbackColumns {
  readonly received_ms: number
}

/** `seq` counts the rows of a file in the order in which they came. */
export interface NumberedRow extends SpooledRow {
  readonly seq: number
}

/** What came of a row: it is kept now, or was before under its idempotency key, or its key came with other ids before. */
export type Kept = { readonly id: string; readonly receivedMs: number; readonly isReplay: boolean } | 'key_reused'

export interface SpoolSize {
  /** That wait for the database. */
  readonly callbacks: number
  /** That the database refused. */
  readonly setAside: number
  readonly bytes: number
}

const COLUMNS = ['id', 'object_ids', 'idempotency_key', 'request_id', 'traceparent', 'tracestate', 'baggage', 'received_ms'] as const

/**
 * A journal of callbacks in one SQLite file: each `append` is on the disk when it returns (WAL with `synchronous=FULL`: every commit flushes
 * the journal, https://www.sqlite.org/pragma.html#pragma_synchronous). One process at a time has it open. Blocks while it works.
 */
export class SpoolFile {
  readonly #db: DatabaseSync
  readonly #maxBytes: number
  readonly #insert: StatementSync
  readonly #findByKey: StatementSync
  readonly #bytes: StatementSync
  #callbacks: number
  #setAside: number

  /** @throws {Error} the file is no spool, or another process has it open */
  constructor({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }) {
    mkdirSync(dirname(path), { recursive: true })
    this.#db = new DatabaseSync(path)
    this.#maxBytes = maxBytes
    this.#db.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      CREATE TABLE IF NOT EXISTS spool (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, object_ids TEXT NOT NULL, idempotency_key TEXT UNIQUE,
        request_id TEXT, traceparent TEXT, tracestate TEXT, baggage TEXT, received_ms REAL NOT NULL, is_refused INTEGER NOT NULL DEFAULT 0
      ) STRICT`)
    this.#insert = this.#db.prepare(`INSERT INTO spool (${COLUMNS}) VALUES (${COLUMNS.map(() => '?')}) ON CONFLICT DO NOTHING`)
    this.#findByKey = this.#db.prepare('SELECT id, object_ids, received_ms FROM spool WHERE idempotency_key = ?')
    this.#bytes = this.#db.prepare(`
      SELECT (p.page_count - f.freelist_count) * s.page_size AS bytes FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`)
    const count = this.#db.prepare('SELECT count(*) AS count FROM spool WHERE is_refused = ?')
    this.#callbacks = Number(count.get(0)?.['count'])
    this.#setAside = Number(count.get(1)?.['count'])
  }

  get size(): SpoolSize {
    return { callbacks: this.#callbacks, setAside: this.#setAside, bytes: Number(this.#bytes.get()?.['bytes']) }
  }

  /**
   * Keeps all rows or none.
   * @returns undefined when the spool is full: nothing was kept
   * @throws {Error} the disk is full or broken: nothing was kept
   */
  append(rows: readonly SpooledRow[]): Kept[] | undefined {
    if (this.size.bytes >= this.#maxBytes) return undefined
    const kept = this.#commit(() => rows.map(row => this.#keep(row)))
    this.#callbacks += kept.filter(row => row !== 'key_reused' && !row.isReplay).length
    return kept
  }

  /** Those behind `after`, in the order in which they came. Leaves out what was refused. */
  oldest({ after, limit }: { readonly after: number; readonly limit: number }): NumberedRow[] {
    const rows = this.#db
      .prepare(`SELECT seq, ${COLUMNS} FROM spool WHERE seq > ? AND is_refused = 0 ORDER BY seq LIMIT ?`)
      .all(after, limit)
    return rows as unknown as NumberedRow[]
  }

  /** Not what was refused. */
  find(id: string): NumberedRow | undefined {
    return this.#db.prepare(`SELECT seq, ${COLUMNS} FROM spool WHERE id = ? AND is_refused = 0`).get(id) as unknown as
      | NumberedRow
      | undefined
  }

  /** Forgets what the database has taken: all that came up to `seq` and was not refused. */
  forget(seq: number): void {
    this.#callbacks -= Number(this.#db.prepare('DELETE FROM spool WHERE seq <= ? AND is_refused = 0').run(seq).changes)
  }

  /** Keeps a row aside that the database refuses, for a person to look at. */
  setAside(seq: number): void {
    const changes = Number(this.#db.prepare('UPDATE spool SET is_refused = 1 WHERE seq = ? AND is_refused = 0').run(seq).changes)
    this.#callbacks -= changes
    this.#setAside += changes
  }

  close(): void {
    this.#db.close()
  }

  #keep(row: SpooledRow): Kept {
    const { changes } = this.#insert.run(...COLUMNS.map(column => row[column] ?? null))
    if (changes > 0) return { id: row.id, receivedMs: row.received_ms, isReplay: false }
    const first = this.#findByKey.get(row.idempotency_key ?? null) as unknown as SpooledRow
    return first.object_ids === row.object_ids ? { id: first.id, receivedMs: first.received_ms, isReplay: true } : 'key_reused'
  }

  #commit<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }
}
