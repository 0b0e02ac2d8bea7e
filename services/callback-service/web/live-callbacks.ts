import type { CallbackFilter } from './callback-filter.ts'
import { CallbackTable, type TableRows } from './callback-table.ts'
import { CALLBACK_STATES, type CallbackPage, type ListedCallback } from './callbacks.ts'
import { OlderCallbacks } from './older-callbacks.ts'
import { Store } from './store.ts'
import type { StreamListener, StreamState } from './stream.ts'

/** What the view of the table shows. */
export interface LiveView extends TableRows {
  readonly stream: StreamState
  /** `retrying`: the service cannot read the list now. `refused`: it will not. */
  readonly list: 'loading' | 'loaded' | 'retrying' | 'refused'
  /** Why there is no list. */
  readonly problem: string | undefined
  /** The service has callbacks that are older. */
  readonly hasOlder: boolean
}

/** Where the callbacks come from. */
export interface CallbackSources {
  readonly read: (path: string) => Promise<CallbackPage>
  readonly listen: (workspace: string, listener: StreamListener, query: Readonly<Record<string, string>>) => () => void
}

const PAGE = 50
/** Time from one rendering to the next at least. */
const RENDER_MS = 250
const FIRST_RETRY_MS = 1000
const MAX_RETRY_MS = 30_000

/**
 * Keeps the table of the callbacks that match a filter up to date. It reads the newest once, and then the stream says what changes. It never
 * reads the list again by itself, except after a failure and when the stream starts over.
 */
export class LiveCallbacks {
  readonly filter: CallbackFilter
  readonly view: Store<LiveView>
  readonly #sources: CallbackSources
  readonly #table: CallbackTable
  #older: OlderCallbacks
  #stream: StreamState = 'connecting'
  #list: LiveView['list'] = 'loading'
  #problem: string | undefined
  #isReading = false
  #isStopped = false
  #retryMs = FIRST_RETRY_MS
  #retry: ReturnType<typeof setTimeout> | undefined
  #rendering: ReturnType<typeof setTimeout> | undefined
  #renderedAt = Number.NEGATIVE_INFINITY
  #endStream: () => void = () => undefined

  constructor(filter: CallbackFilter, sources: CallbackSources) {
    this.filter = filter
    this.#sources = sources
    this.#table = new CallbackTable(filter)
    this.#older = this.#newest()
    this.view = new Store(this.#view())
  }

  start(): void {
    const { workspace, states, objectId } = this.filter
    const listener: StreamListener = {
      onCallbacks: callbacks => this.take(callbacks),
      onState: state => {
        this.#stream = state
        // What was refused may be there now, such as a workspace that was just made.
        if (state === 'live' && this.#list === 'refused') void this.#load()
        this.#changed()
      },
      onStartOver: () => this.#startOver(),
    }
    this.#endStream = this.#sources.listen(workspace, listener, {
      ...(states.length > 0 && { state: states.join(',') }),
      ...(objectId && { object_id: objectId }),
    })
    void this.#load()
  }

  stop(): void {
    this.#isStopped = true
    this.#endStream()
    clearTimeout(this.#retry)
    clearTimeout(this.#rendering)
  }

  /**
   * Waits for the answer to a change of a callback. The stream may be faster, and say what became of the callback after it.
   * @param answer undefined: the service does not show the callback
   */
  async takeAnswer(answer: Promise<ListedCallback | undefined>): Promise<void> {
    const change = this.#table.beginChange()
    try {
      const changed = await answer
      if (changed) change.add([changed])
    } finally {
      change.end()
      this.#changed()
    }
  }

  take(callbacks: readonly ListedCallback[]): void {
    this.#table.take(callbacks)
    this.#changed()
  }

  remove(id: string): void {
    this.#table.remove(id)
    this.#changed()
  }

  /** Holds the rows, or releases them: see `CallbackTable`. */
  setHeld(isHeld: boolean): void {
    if (isHeld) this.#table.hold()
    else this.#table.release()
    this.#render()
  }

  /** Reads one page more. When it resolves, the view has it. */
  async loadOlder(): Promise<void> {
    if (this.#list !== 'loaded') return
    await this.#load()
    if (!this.#isStopped) this.#render()
  }

  #startOver(): void {
    this.#table.doubt()
    this.#older = this.#newest()
    void this.#load()
  }

  async #load(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    clearTimeout(this.#retry)
    this.#list = 'loading'
    this.#changed()
    const older = this.#older
    const listing = this.#table.beginListing()
    try {
      const callbacks = await older.take(PAGE)
      // If the stream has started over since, these are too old.
      if (older === this.#older) listing.add(callbacks)
      else listing.end()
      this.#list = 'loaded'
      this.#problem = undefined
      this.#retryMs = FIRST_RETRY_MS
    } catch (error) {
      listing.end()
      this.#failed(error as Error & { readonly status?: number })
    }
    this.#isReading = false
    if (older !== this.#older) void this.#load()
    this.#changed()
  }

  #failed(error: Error & { readonly status?: number }): void {
    const { status = 503, message } = error
    this.#problem = message
    this.#list = status >= 500 || status === 429 ? 'retrying' : 'refused'
    if (this.#list === 'refused' || this.#isStopped) return
    this.#retry = setTimeout(() => void this.#load(), this.#retryMs * (0.5 + Math.random() / 2))
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2)
  }

  #newest(): OlderCallbacks {
    const { workspace, states, objectId } = this.filter
    const asked = states.length === 0 || states.length === CALLBACK_STATES.length ? [undefined] : states
    const paths = asked.map(state => {
      const query = new URLSearchParams({ limit: String(PAGE), workspace_id: workspace })
      if (state) query.set('state', state)
      if (objectId) query.set('object_id', objectId)
      return `v1/callbacks?${query}`
    })
    return new OlderCallbacks(paths, this.#sources.read)
  }

  /** Renders at most four times a second, whatever comes. */
  #changed(): void {
    if (this.#isStopped) return
    this.#rendering ??= setTimeout(() => this.#render(), Math.max(0, this.#renderedAt + RENDER_MS - performance.now()))
  }

  #render(): void {
    clearTimeout(this.#rendering)
    this.#rendering = undefined
    this.#renderedAt = performance.now()
    this.view.set(this.#view())
  }

  #view(): LiveView {
    return { ...this.#table.read(), stream: this.#stream, list: this.#list, problem: this.#problem, hasOlder: this.#older.hasMore }
  }
}
