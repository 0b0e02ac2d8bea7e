import type { Fetches } from './activity-types.ts'
import { type Callback, isFinished } from './callbacks.ts'
import { Poll } from './poll.ts'
import { serviceNow } from './service-clock.ts'
import { Store } from './store.ts'
import type { TimelineEvent } from './timeline.ts'

/** What the view of one callback shows. It keeps what it has while the service is away. */
export interface OneCallbackView {
  readonly callback: Callback | undefined
  readonly events: readonly TimelineEvent[]
  /** Undefined if the caller may not see them. */
  readonly fetches: Fetches | undefined
  /** Why the last request failed. */
  readonly problem: string | undefined
  /** The service does not have it, or no longer. */
  readonly isGone: boolean
  /** When the rest was true, epoch milliseconds by the clock of the service. */
  readonly at: number
}

type Ask = <T>(path: string) => Promise<T>
type Failure = Error & { readonly status?: number; readonly code?: string }

const RUNNING_MS = 1000
const RESTING_MS = 5000

/** Follows one callback: once a second while it works, and less often while it rests, because somebody may send it round again. */
export class OneCallback {
  readonly view = new Store<OneCallbackView>({
    callback: undefined,
    events: [],
    fetches: undefined,
    problem: undefined,
    isGone: false,
    at: serviceNow(),
  })
  readonly #ask: Ask
  readonly #path: string
  readonly #query: string
  readonly #poll: Poll

  constructor(id: string, workspace: string, ask: Ask) {
    this.#ask = ask
    this.#path = `v1/callbacks/${encodeURIComponent(id)}`
    this.#query = `?workspace_id=${encodeURIComponent(workspace)}`
    this.#poll = new Poll({
      ask: () => this.#read(),
      onFailure: error => this.#failed(error as Failure),
      intervalMs: () => (isAtRest(this.view.value.callback) ? RESTING_MS : RUNNING_MS),
      isHidden,
    })
  }

  start(): void {
    this.#poll.start()
  }

  stop(): void {
    this.#poll.stop()
  }

  /** Asks again at once, because somebody has changed it, or looks again. */
  refresh(): void {
    this.#poll.again()
  }

  async #read(): Promise<void> {
    const [callback, timeline, fetches] = await Promise.all([
      this.#ask<Callback>(`${this.#path}${this.#query}`),
      this.#ask<{ readonly events: readonly TimelineEvent[] }>(`${this.#path}/timeline${this.#query}`),
      this.#ask<Fetches>(`${this.#path}/fetches${this.#query}`).catch(ifHidden),
    ])
    this.view.set({ callback, events: timeline.events, fetches, problem: undefined, isGone: false, at: serviceNow() })
  }

  #failed({ message, status }: Failure): void {
    const isGone = status === 404 || status === 400
    // What is gone does not come back.
    if (isGone) this.stop()
    this.view.set({ ...this.view.value, problem: message, isGone })
  }
}

function isAtRest(callback: Callback | undefined): boolean {
  return callback !== undefined && (isFinished(callback) || callback.state === 'paused')
}

function isHidden(): boolean {
  return globalThis.document?.visibilityState === 'hidden'
}

/** A key to send callbacks may follow them, but not see their fetches. */
function ifHidden(error: Failure): undefined {
  if (error.code === 'not_found') return undefined
  throw error
}
