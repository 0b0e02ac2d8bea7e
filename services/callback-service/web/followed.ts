import { Poll } from './poll.ts'
import { serviceNow } from './service-clock.ts'
import { Store } from './store.ts'

/** What a view shows of something that it follows. It keeps the value while the service is away. */
export interface FollowedView<T> {
  readonly value: T | undefined
  /** Why the last request failed. */
  readonly problem: string | undefined
  /** The service does not have it, or not for this caller. */
  readonly isMissing: boolean
  /** When the value was true, epoch milliseconds by the clock of the service. */
  readonly at: number
}

const INTERVAL_MS = 3000

/** Reads something again and again while somebody looks at it. */
export class Followed<T> {
  readonly view: Store<FollowedView<T>> = new Store({ value: undefined, problem: undefined, isMissing: false, at: serviceNow() })
  readonly #poll: Poll
  #isStopped = false

  /** @param read one request, or several @param isHidden whether nobody looks. Then nothing is read */
  constructor(read: () => Promise<T>, isHidden: () => boolean = () => document.visibilityState === 'hidden') {
    this.#poll = new Poll({
      ask: async () => {
        if (isHidden()) return
        const value = await read()
        this.#show({ value, problem: undefined, isMissing: false, at: serviceNow() })
      },
      onFailure: error => {
        const { message, status } = error as Error & { readonly status?: number }
        this.#show({ ...this.view.value, problem: message, isMissing: status === 404 })
      },
      intervalMs: () => INTERVAL_MS,
      isHidden,
    })
  }

  start(): void {
    this.#poll.start()
  }

  stop(): void {
    this.#isStopped = true
    this.#poll.stop()
  }

  /** Reads again at once, because somebody has changed it, or looks again. */
  refresh(): void {
    this.#poll.again()
  }

  #show(view: FollowedView<T>): void {
    if (!this.#isStopped) this.view.set(view)
  }
}
