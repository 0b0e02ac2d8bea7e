import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CallbackColumns } from '../new-callback.ts'
import { contentBytes, isDamage, isFull, openSpoolDatabase } from './spool-database.ts'

/** A callback as it lies in the spool. `received_ms`: epoch milliseconds, by the database's clock as far as it was known. */
export interface SpooledRow extends CallbackColumns {
  readonly received_ms: number
}

/** `seq` counts the rows of a file in the order in which they came. */
export interface NumberedRow extends SpooledRow {
  readonly seq: number
}

/** What came of a row: it is kept now, or was before; or its key came with other ids before; or nothing more can be kept. */
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

/** What may be left out of a row that is put back, because it may be what the database refuses: nothing is done by it. */
export type OptionalColumn = 'request_id' | 'traceparent' | 'tracestate' | 'baggage'

export interface SpoolState {
  /** That wait for the database. */
  readonly callbacks: number
  /** That the database refused. */
  readonly setAside: number
  readonly bytes: number
  /** Why nothing can be kept; undefined while it can. */
  readonly problem: string | undefined
  /** Whether the file itself is damaged: it is only read from then on. */
  readonly isDamaged: boolean
}

const COLUMNS = ['id', 'object_ids', 'idempotency_key', 'request_id', 'traceparent', 'tracestate', 'baggage', 'received_ms'] as const
const SET_ASIDE = `INSERT INTO set_aside (${COLUMNS}, reason) SELECT ${COLUMNS}, ? FROM spool WHERE seq = ? ON CONFLICT DO NOTHING`

/**
 * A journal of callbacks in one SQLite file: each `append` is on the disk when it returns (WAL with `synchronous=FULL`: every commit flushes
 * the journal, https://www.sqlite.org/pragma.html#pragma_synchronous). One process at a time has it open. Blocks while it works.
 *
 * A damaged file is only read: what comes before the damage is given out, and nothing is changed.
 */
export class SpoolFile {
  readonly #db: DatabaseSync
  readonly #maxBytes: number
  readonly #insert: StatementSync
  readonly #findFirst: StatementSync
  #callbacks: number
  #setAside: number
  /** What went wrong since the last write that succeeded. */
  #problem: string | undefined
  #damage: string | undefined
  /** Where what a damaged file still has to give out begins. */
  #droppedSeq = 0

  /** @throws {Error} the file is no spool, or of a newer release, or another process has it open */
  constructor({ path, maxBytes }: { readonly path: string; readonly maxBytes: number }) {
    const { db, damage } = openSpoolDatabase(path)
    this.#db = db
    this.#damage = damage
    this.#maxBytes = maxBytes
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
   * Keeps all rows for which there is room, or none of them. What was set aside and comes again waits for the database again.
   * @throws {Error} the disk or the file is broken: nothing was kept
   */
  append(rows: readonly SpooledRow[]): Kept[] {
    if (contentBytes(this.#db) >= this.#maxBytes) return rows.map(row => this.#find(row) ?? 'no_room')
    let [added, revived] = [0, 0]
    const keep = (row: SpooledRow): Kept => {
      const { changes } = this.#insert.run(...COLUMNS.map(column => row[column] ?? null))
      if (changes === 0) return this.#find(row) as Kept
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

  /** Those behind `after`, in the order in which they came. Of a damaged file those before the damage. */
  oldest({ after, limit }: { readonly after: number; readonly limit: number }): NumberedRow[] {
    const rows = this.#upToDamage(`SELECT seq, ${COLUMNS} FROM spool NOT INDEXED WHERE seq > ? ORDER BY seq LIMIT ?`, after, limit)
    return [...rows] as unknown as NumberedRow[]
  }

  find(id: string): NumberedRow | undefined {
    const row = this.#watch(() => this.#db.prepare(`SELECT seq, ${COLUMNS} FROM spool WHERE id = ?`).get(id))
    return row as unknown as NumberedRow | undefined
  }

  /** Tells of each row whether another one behind `after` has its idempotency key, with other object ids. */
  areRivals({ rows, after }: { readonly rows: readonly CallbackColumns[]; readonly after: number }): boolean[] {
    const rival = this.#db.prepare('SELECT 1 FROM spool WHERE idempotency_key = ? AND id <> ? AND object_ids <> ? AND seq > ?')
    return this.#watch(() => rows.map(row => rival.get(row.idempotency_key ?? null, row.id, row.object_ids, after) !== undefined))
  }

  /**
   * Forgets what the database has taken, all that came up to `seq`, and sets aside for a person what it refused.
   * @throws {Error} the disk is full or broken: nothing was changed
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

  /** What was set aside, the oldest first. */
  aside({ limit }: { readonly limit: number }): AsideRow[] {
    const rows = this.#watch(() => this.#db.prepare(`SELECT ${COLUMNS}, reason FROM set_aside ORDER BY rowid LIMIT ?`).all(limit))
    return rows as unknown as AsideRow[]
  }

  /**
   * Has what was set aside wait for the database again, behind the others, without some of its columns.
   * @returns undefined when no such row is set aside
   */
  putBack({ id, without }: { readonly id: string; readonly without: readonly OptionalColumn[] }): 'put_back' | 'key_reused' | undefined {
    const kept = COLUMNS.map(column => ((without as readonly string[]).includes(column) ? 'NULL' : column))
    const outcome = this.#commit(() => {
      const added = this.#run(`INSERT INTO spool (${COLUMNS}) SELECT ${kept} FROM set_aside WHERE id = ? ON CONFLICT DO NOTHING`, id)
      if (added === 1) return this.#run('DELETE FROM set_aside WHERE id = ?', id) === 1 ? 'put_back' : undefined
      return this.#db.prepare('SELECT 1 FROM set_aside WHERE id = ?').get(id) ? 'key_reused' : undefined
    })
    if (outcome === 'put_back') {
      this.#callbacks += 1
      this.#setAside -= 1
    }
    return outcome
  }

  /** Forgets what was set aside, for good. @returns what it was; undefined when no such row is set aside */
  drop(id: string): AsideRow | undefined {
    const row = this.#commit(() => this.#db.prepare(`DELETE FROM set_aside WHERE id = ? RETURNING ${COLUMNS}, reason`).get(id))
    if (row) this.#setAside -= 1
    return row as unknown as AsideRow | undefined
  }

  /** Finds out whether it can be written again, after it could not. @throws {Error} it cannot */
  probe(): void {
    this.#commit(() => this.#db.exec(`PRAGMA user_version = ${this.#db.prepare('PRAGMA user_version').get()?.['user_version']}`))
  }

  close(): void {
    this.#db.close()
  }

  #find(row: SpooledRow): Kept | undefined {
    const first = this.#findFirst.get(row.id, row.idempotency_key ?? null) as unknown as SpooledRow | undefined
    if (!first) return undefined
    // The same id is made of the same key and object ids, in any order; the releases before made other ids.
    return first.id === row.id || first.object_ids === row.object_ids
      ? { id: first.id, receivedMs: first.received_ms, isReplay: true }
      : 'key_reused'
  }

  #run(sql: string, ...values: (string | number)[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes)
  }

  #count(rows: string, ...values: number[]): number {
    for (const { count } of this.#upToDamage(`SELECT count(*) AS count FROM ${rows}`, ...values)) return Number(count)
    // Damaged: one by one, up to there.
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
