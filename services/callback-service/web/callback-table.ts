import { type CallbackFilter, hasState } from './callback-filter.ts'
import { type ListedCallback, newestFirst } from './callbacks.ts'

/** Callbacks that the table keeps at most. */
export const MAX_KEPT = 1000

/** What the table shows now. */
export interface TableRows {
  /** Newest first. */
  readonly rows: readonly ListedCallback[]
  /** Callbacks that came on top since the rows are held. They are not in `rows`. */
  readonly newer: number
  /** There were more of them than the table keeps. */
  readonly isNewerCut: boolean
  /** The table had to drop its oldest rows. */
  readonly isCut: boolean
}

/** An answer under way: a list, or that to a change. What the stream says meanwhile is newer. */
export interface Listing {
  /** It has come. */
  add(listed: readonly ListedCallback[]): void
  /** It does not come. */
  end(): void
}

/** Merges lists and the stream into one table of a fixed size. */
export class CallbackTable {
  readonly #filter: Pick<CallbackFilter, 'states'>
  readonly #max: number
  readonly #kept = new Map<string, ListedCallback>()
  /** For each list under way, the ids that the stream has named since. */
  readonly #touched = new Set<Set<string>>()
  /** Ids of rows that may be wrong. */
  readonly #doubted = new Set<string>()
  /** Rows above this one wait until the rows are released. */
  #top: ListedCallback | undefined
  #isHeld = false
  #isNewerCut = false
  #isCut = false

  constructor(filter: Pick<CallbackFilter, 'states'>, max = MAX_KEPT) {
    this.#filter = filter
    this.#max = max
  }

  /** Takes what the stream says. A callback that leaves the filter leaves the table. */
  take(callbacks: readonly ListedCallback[]): void {
    for (const callback of callbacks) {
      this.#touch(callback.id)
      this.#put(callback)
    }
    this.#trim()
  }

  /** Forgets a callback, because the service has deleted it. */
  remove(id: string): void {
    this.#touch(id)
    this.#kept.delete(id)
  }

  /** The stream starts over, and what finished meanwhile does not come again. The next list drops the rows that neither of them names. */
  doubt(): void {
    for (const id of this.#kept.keys()) this.#doubted.add(id)
  }

  beginListing(): Listing {
    const { add, end } = this.beginChange()
    const addAll = (listed: readonly ListedCallback[]): void => {
      for (const id of this.#doubted) this.#kept.delete(id)
      this.#doubted.clear()
      add(listed)
    }
    return { add: addAll, end }
  }

  /** Somebody changes a callback. */
  beginChange(): Listing {
    const touched = new Set<string>()
    this.#touched.add(touched)
    const end = (): void => void this.#touched.delete(touched)
    const add = (answered: readonly ListedCallback[]): void => {
      end()
      for (const callback of answered) if (!touched.has(callback.id)) this.#put(callback)
      this.#trim()
    }
    return { add, end }
  }

  /** Keeps newer callbacks out of the rows from now on. What is in the rows still changes. */
  hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#top = this.#sorted()[0]
  }

  release(): void {
    if (!this.#isHeld) return
    // Some of the newer callbacks are gone. Rows below that gap would look as if they came next.
    if (this.#isNewerCut) {
      for (const callback of this.#kept.values()) if (!this.#isNewer(callback)) this.#kept.delete(callback.id)
      this.#isCut = true
    }
    this.#isHeld = false
    this.#isNewerCut = false
    this.#top = undefined
  }

  read(): TableRows {
    const sorted = this.#sorted()
    const newer = this.#newerOf(sorted)
    return { rows: sorted.slice(newer), newer, isNewerCut: this.#isNewerCut, isCut: this.#isCut }
  }

  #put(callback: ListedCallback): void {
    if (hasState(this.#filter, callback)) this.#kept.set(callback.id, callback)
    else this.#kept.delete(callback.id)
  }

  #touch(id: string): void {
    for (const ids of this.#touched) ids.add(id)
    this.#doubted.delete(id)
  }

  #isNewer(callback: ListedCallback): boolean {
    return this.#isHeld && (!this.#top || newestFirst(callback, this.#top) < 0)
  }

  #newerOf(sorted: readonly ListedCallback[]): number {
    const newer = sorted.findIndex(callback => !this.#isNewer(callback))
    return newer < 0 ? sorted.length : newer
  }

  #sorted(): ListedCallback[] {
    return [...this.#kept.values()].sort(newestFirst)
  }

  /** Drops the oldest rows. While the rows are held, half of the room stays theirs, and the oldest of the newer ones go. */
  #trim(): void {
    const excess = this.#kept.size - this.#max
    if (excess <= 0) return
    const sorted = this.#sorted()
    const newer = this.#newerOf(sorted)
    const spare = sorted.length - newer - (newer > 0 ? this.#max / 2 : 0)
    const ofRows = Math.min(excess, Math.max(0, Math.floor(spare)))
    const ofNewer = excess - ofRows
    const dropped = [...sorted.slice(sorted.length - ofRows), ...sorted.slice(newer - ofNewer, newer)]
    for (const { id } of dropped) this.#kept.delete(id)
    if (ofRows > 0) this.#isCut = true
    if (ofNewer > 0) this.#isNewerCut = true
  }
}
