import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { bareKey, scopedKey } from '../../domain/accepting/idempotency-key.ts'
import { DEFAULT_WORKSPACE } from '../../domain/workspaces/workspace.ts'
import type { CallbackColumns } from '../new-callback.ts'
import { contentBytes, isDamage, isFull, openSpoolDatabase, WORKSPACE_VERSION } from './spool-database.ts'

/** A row of the spool. `received_ms`: epoch milliseconds by the database's clock, as far as the process knew it. */
export interface SpooledRow extends CallbackColumns {
  readonly received_ms: number
}

/** A row with its number. `seq` counts the rows of a file in the order in which they came. */
export interface NumberedRow extends SpooledRow {
  readonly seq: number
}

/**
 * The result for an appended row: it is kept (now, or earlier: `isReplay`), its key came with other object ids before, or the spool is
 * full.
 */
export type Kept = { readonly id: string; readonly receivedMs: number; readonly isReplay: boolean } | 'key_reused' | 'no_room'

/** A row that the database refuses, and why. */
export interface RefusedRow {
  readonly seq: number
  readonly reason: string
}

/** A row that was set aside, and why. */
export interface AsideRow extends SpooledRow {
  readonly reason: string
}

/** A column that can be left out of a row that is put back. No work depends on it, but the database may refuse its value. */
export type OptionalColumn = 'request_id' | 'traceparent' | 'tracestate' | 'baggage'

export interface SpoolState {
  /** Number of callbacks that wait for the database. */
  readonly callbacks: number
  /** Number of callbacks that the database refused. */
  readonly setAside: number
  readonly bytes: number
  /** Why the file can keep nothing; undefined while it can. */
  readonly problem: string | undefined
  /** Whether the file itself is damaged. From then on it is only read. */
  readonly isDamaged: boolean
}

const OLD_COLUMNS = ['id', 'object_ids', 'idempotency_key', 'request_id', 'traceparent', 'tracestate', 'baggage', 'received_ms'] as const
const COLUMNS = [...OLD_COLUMNS, 'workspace'] as const
const SET_ASIDE = `INSERT INTO set_aside (${COLUMNS}, reason) SELECT ${COLUMNS}, ? FROM spool WHERE seq = ? ON CONFLICT DO NOTHING`

/**
 * A journal of callbacks in one SQLite file. When `append` returns, its rows are on the disk: in WAL mode with `synchronous=FULL`, every
 * commit flushes the journal (https://www.sqlite.org/pragma.html#pragma_synchronous). Only one process at a time can open the file. Its
 * methods block.
 *
 * A damaged file is not changed. Its rows can be read up to the damage.
 *
 * The column `idempotency_key` holds scoped keys. The methods take and return bare keys.
 */
export class SpoolFile {
  readonly #db: DatabaseSync
  readonly #maxBytes: number
  /** What to select for a whole row. A damaged file of an earlier release has no column `workspace`. */
  readonly #row: string
  /** Undefined in a file that was damaged when it was opened. */
  readonly #insert: StatementSync | undefined
  readonly #findFirst: StatementSync
  #callbacks: number
  #setAside: number
  /** The last error since a write succeeded; undefined if there was none. */
  #problem: string | undefined
  #damage: string | undefined
  /** The last `seq` that was forgotten in a damaged file, which cannot delete rows. */
  #droppedSeq = 0

  /** Opens the file. @throws {Error} the file is not a spool, comes from a newer release, or is open in another process */
  constructor({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }) {
    const { db, version, damage } = openSpoolDatabase(path)
    this.#db = db
    this.#damage = damage
    this.#maxBytes = maxBytes
    this.#row = version < WORKSPACE_VERSION ? `${OLD_COLUMNS}, '${DEFAULT_WORKSPACE}' AS workspace` : String(COLUMNS)
    if (damage === undefined)
      this.#insert = this.#db.prepare(`INSERT INTO spool (${COLUMNS}) VALUES (${COLUMNS.map(() => '?')}) ON CONFLICT DO NOTHING`)
    this.#findFirst = this.#db.prepare('SELECT id, object_ids, received_ms FROM spool WHERE id = ? OR idempotency_key = ?')
    this.#callbacks = this.#count('spool NOT INDEXED')
    this.#setAside = this.#damage === undefined ? this.#count('set_aside') : 0
  }

  get state(): SpoolState {
    const problem =
      this.#damage === undefined ? this.#problem : `the spool is damaged: ${this.#damage}; what can be read goes to the database`
    return {
      callbacks: this.#callbacks,
      setAside: this.#setAside,
      bytes: contentBytes(this.#db),
      problem,
      isDamaged: this.#damage !== undefined,
    }
  }

  /**
   * Keeps all rows, or none if there is no room. If a row was set aside and comes again, it waits for the database again.
   * @returns the result for each row, by position
   * @throws {Error} the disk or the file is broken, and nothing was kept
   */
  append(rows: readonly SpooledRow[]): Kept[] {
    if (contentBytes(this.#db) >= this.#maxBytes) return rows.map(row => this.#find(row) ?? 'no_room')
    let [added, revived] = [0, 0]
    const keep = (row: SpooledRow): Kept => {
      const scoped = { ...row, idempotency_key: scopedKeyOf(row) }
      if (this.#insert?.run(...COLUMNS.map(column => scoped[column] ?? null)).changes === 0) return this.#find(row) as Kept
      added += 1
      if (this.#setAside > 0) revived += this.#run('DELETE FROM set_aside WHERE id = ?', row.id)
      return { id: row.id, receivedMs: row.received_ms, isReplay: false }
    }
    try {
      const kept = this.#commit(() => rows.map(keep))
      this.#callbacks += added
      this.#setAside -= revived
      return kept
    } catch (error) {
      if (isFull(error)) return rows.map(row => this.#find(row) ?? 'no_room')
      throw error
    }
  }

  /** Reads the rows after `after`, in the order in which they came. In a damaged file, it reads up to the damage. */
  oldest({ after, limit }: { readonly after: number; readonly limit: number }): NumberedRow[] {
    const rows = this.#upToDamage(`SELECT seq, ${this.#row} FROM spool NOT INDEXED WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
    return ([...rows] as unknown as NumberedRow[]).map(withBareKey)
  }

  find(id: string): NumberedRow | undefined {
    const row = this.#watch(() => this.#db.prepare(`SELECT seq, ${this.#row} FROM spool WHERE id = ?`).get(id))
    return row && withBareKey(row as unknown as NumberedRow)
  }

  /** Checks for each row whether a row after `after` has the same idempotency key and other object ids. */
  areRivals({ rows, after }: { readonly rows: readonly CallbackColumns[]; readonly after: number }): boolean[] {
    const rival = this.#db.prepare('SELECT 1 FROM spool WHERE idempotency_key = ? AND id <> ? AND object_ids <> ? AND seq > ?')
    return this.#watch(() => rows.map(row => rival.get(scopedKeyOf(row), row.id, row.object_ids, after) !== undefined))
  }

  /**
   * Deletes the rows that the database has taken, up to and including `seq`, and sets aside those that it refused.
   * @throws {Error} the disk is full or broken, and nothing has changed
   */
  forget({ seq, refused }: { readonly seq: number; readonly refused: readonly RefusedRow[] }): void {
    if (this.#damage !== undefined) {
      this.#callbacks -= this.#count('spool NOT INDEXED WHERE seq > ? AND seq <= ?', this.#droppedSeq, seq)
      this.#droppedSeq = Math.max(this.#droppedSeq, seq)
      return
    }
    let [aside, dropped] = [0, 0]
    this.#commit(() => {
      for (const row of refused) aside += this.#run(SET_ASIDE, row.reason, row.seq)
      dropped = this.#run('DELETE FROM spool WHERE seq <= ?', seq)
    })
    this.#setAside += aside
    this.#callbacks -= dropped
  }

  /** Lists the rows that were set aside, the oldest first. */
  aside({ limit }: { readonly limit: number }): AsideRow[] {
    const rows = this.#watch(() => this.#db.prepare(`SELECT ${COLUMNS}, reason FROM set_aside ORDER BY rowid LIMIT ?`).all(limit))
    return (rows as unknown as AsideRow[]).map(withBareKey)
  }

  /**
   * Moves a row that was set aside to the end of the spool, without some of its columns.
   * @returns the row's workspace; undefined if no such row is set aside
   */
  putBack({
    id,
    without,
  }: {
    readonly id: string
    readonly without: readonly OptionalColumn[]
  }): { readonly workspace: string } | 'key_reused' | undefined {
    const kept = COLUMNS.map(column => ((without as readonly string[]).includes(column) ? 'NULL' : column))
    const outcome = this.#commit(() => {
      const added = this.#run(`INSERT INTO spool (${COLUMNS}) SELECT ${kept} FROM set_aside WHERE id = ? ON CONFLICT DO NOTHING`, id)
      const found = this.#db.prepare('SELECT workspace FROM set_aside WHERE id = ?').get(id) as { workspace: string } | undefined
      if (added === 0) return found && 'key_reused'
      this.#run('DELETE FROM set_aside WHERE id = ?', id)
      return found && { workspace: found.workspace }
    })
    if (typeof outcome === 'object') {
      this.#callbacks += 1
      this.#setAside -= 1
    }
    return outcome
  }

  /** Deletes a row that was set aside. @returns the row; undefined if no such row is set aside */
  drop(id: string): AsideRow | undefined {
    const row = this.#commit(() => this.#db.prepare(`DELETE FROM set_aside WHERE id = ? RETURNING ${COLUMNS}, reason`).get(id))
    if (row) this.#setAside -= 1
    return row && withBareKey(row as unknown as AsideRow)
  }

  /** Checks whether the file can be written again. @throws {Error} it cannot */
  probe(): void {
    this.#commit(() => this.#db.exec(`PRAGMA user_version = ${this.#db.prepare('PRAGMA user_version').get()?.['user_version']}`))
  }

  close(): void {
    this.#db.close()
  }

  #find(row: SpooledRow): Kept | undefined {
    const first = this.#findFirst.get(row.id, scopedKeyOf(row)) as unknown as SpooledRow | undefined
    if (!first) return undefined
    // The same key and the same object ids, in any order, give the same id. Earlier releases made other ids, so the object ids count too.
    return first.id === row.id || first.object_ids === row.object_ids
      ? { id: first.id, receivedMs: first.received_ms, isReplay: true }
      : 'key_reused'
  }

  #run(sql: string, ...values: (string | number)[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes)
  }

  #count(rows: string, ...values: number[]): number {
    for (const { count } of this.#upToDamage(`SELECT count(*) AS count FROM ${rows}`, ...values)) return Number(count)
    // The file is damaged: count row by row up to the damage.
    return [...this.#upToDamage(`SELECT 1 FROM ${rows}`, ...values)].length
  }

  *#upToDamage(sql: string, ...values: number[]): Generator<Record<string, unknown>> {
    try {
      yield* this.#db.prepare(sql).iterate(...values)
    } catch (error) {
      this.#note(error)
      if (!isDamage(error)) throw error
    }
  }

  #commit<T>(work: () => T): T {
    if (this.#damage !== undefined) throw new Error(this.#damage)
    return this.#watch(() => {
      try {
        this.#db.exec('BEGIN IMMEDIATE')
        const result = work()
        this.#db.exec('COMMIT')
        this.#problem = undefined
        return result
      } finally {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      }
    })
  }

  #watch<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      this.#note(error)
      throw error
    }
  }

  #note(error: unknown): void {
    const { message } = error as Error
    if (isDamage(error)) this.#damage ??= message
    else this.#problem = `the spool cannot be used: ${message}`
  }
}

function scopedKeyOf({ workspace, idempotency_key: key }: CallbackColumns): string | null {
  return key === undefined || key === null ? null : scopedKey(workspace, key)
}

function withBareKey<Row extends CallbackColumns>(row: Row): Row {
  return row.idempotency_key ? { ...row, idempotency_key: bareKey(row.idempotency_key) } : row
}
