import { type CallbackPage, type ListedCallback, newestFirst } from './callbacks.ts'

interface Source {
  /** Path of the page that comes next; undefined after the last one. */
  next: string | undefined
  /** Callbacks of pages that were read, newest first. */
  unread: ListedCallback[]
}

/** Reads several lists of callbacks as one, newest first. `GET /v1/callbacks` takes one state at a time. */
export class OlderCallbacks {
  readonly #sources: readonly Source[]
  readonly #read: (path: string) => Promise<CallbackPage>
  readonly #ready: ListedCallback[] = []

  /** @param paths the first page of each list */
  constructor(paths: readonly string[], read: (path: string) => Promise<CallbackPage>) {
    this.#sources = paths.map(next => ({ next, unread: [] }))
    this.#read = read
  }

  get hasMore(): boolean {
    return this.#ready.length > 0 || this.#sources.some(({ next, unread }) => next !== undefined || unread.length > 0)
  }

  /**
   * Returns the next callbacks. It reads one page at a time, because a page can cost the database a second. After an error, call it again:
   * nothing is lost.
   */
  async take(count: number): Promise<ListedCallback[]> {
    while (this.#ready.length < count) {
      for (const source of this.#sources) if (source.unread.length === 0) await this.#fill(source)
      const newest = this.#sources
        .filter(({ unread }) => unread.length > 0)
        .sort(byFirst)[0]
        ?.unread.shift()
      if (!newest) break
      this.#ready.push(newest)
    }
    return this.#ready.splice(0, count)
  }

  async #fill(source: Source): Promise<void> {
    if (source.next === undefined) return
    const { items, next } = await this.#read(source.next)
    source.unread = [...items]
    source.next = next
  }
}

function byFirst(a: Source, b: Source): number {
  return newestFirst(a.unread[0] as ListedCallback, b.unread[0] as ListedCallback)
}
