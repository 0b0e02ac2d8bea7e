import type { Activity, ActivityColumns } from './activity-types.ts'

export type ColumnName = Exclude<keyof ActivityColumns, 'at_ms'>

/** What `ActivityRows.add` needs of an answer of `GET /activity`. */
export type RowsAnswer = Pick<Activity, 'columns' | 'from_start' | 'interval_ms' | 'max_rows'>

/**
 * The rows of `GET /activity` that the page has, oldest first. They survive a restart of the service: its new rows follow the old ones, with a gap
 * between. Memory is bounded: rows older than `max_rows` intervals go.
 */
export class ActivityRows {
  readonly #columns = new Map<ColumnName, (number | null)[]>()
  #at: number[] = []

  /** Number of rows, those of gaps included. */
  get length(): number {
    return this.#at.length
  }

  /** When each row ended, epoch milliseconds, always increasing. The array stays the same when rows come. */
  get at(): readonly number[] {
    return this.#at
  }

  /** A column, as long as `at`. A service that does not know it gives nulls. */
  column(name: ColumnName): readonly (number | null)[] {
    return this.#columns.get(name) ?? this.#at.map(() => null)
  }

  /** Adds the rows of an answer. Rows of the page that are not older than those of a process that begins again go. */
  add({ columns, from_start, interval_ms, max_rows }: RowsAnswer): void {
    const first = columns.at_ms[0]
    if (first === undefined) return
    if (from_start) this.#forgetSince(first)
    const newest = this.#at.at(-1)
    // The clock of the process may have been set back while the page had lost it. Only a start repairs that.
    const skip = from_start || newest === undefined ? 0 : columns.at_ms.filter(at => at <= newest).length
    if (newest !== undefined && first - newest > 2 * interval_ms) this.#append([newest + interval_ms], {}, 0)
    this.#append(columns.at_ms, columns, skip)
    this.#trim((this.#at.at(-1) ?? 0) - max_rows * interval_ms)
  }

  #append(at: readonly number[], columns: Partial<ActivityColumns>, skip: number): void {
    for (const name of Object.keys(columns) as (keyof ActivityColumns)[]) {
      // Nulls for the time before the column was known.
      if (name !== 'at_ms' && !this.#columns.has(name)) this.#columns.set(name, Array(this.#at.length).fill(null))
    }
    for (let row = skip; row < at.length; row++) {
      this.#at.push(at[row] as number)
      for (const [name, values] of this.#columns) values.push(columns[name]?.[row] ?? null)
    }
  }

  #forgetSince(at: number): void {
    const keep = this.#at.findIndex(known => known >= at)
    if (keep >= 0) for (const values of [this.#at, ...this.#columns.values()]) values.length = keep
  }

  #trim(before: number): void {
    const kept = this.#at.findIndex(at => at > before)
    if (kept > 0) for (const values of [this.#at, ...this.#columns.values()]) values.splice(0, kept)
  }
}
