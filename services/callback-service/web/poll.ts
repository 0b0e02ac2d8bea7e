export interface PollOptions {
  /** One request. It ends by itself, also when nobody answers. */
  readonly ask: () => Promise<void>
  /** A request failed. */
  readonly onFailure: (error: unknown) => void
  /** Whether nobody looks. Then requests come rarely. */
  readonly isHidden: () => boolean
  /** Time from one request to the next while the service answers. Default: one second. */
  readonly intervalMs?: () => number
  /** Runs something later. Returns what forgets it. */
  readonly later?: (run: () => void, ms: number) => () => void
  readonly random?: () => number
  readonly now?: () => number
}

const INTERVAL_MS = 1000
const HIDDEN_INTERVAL_MS = 15_000
const SHORTEST_REST_MS = 200
const MAX_WAIT_MS = 5000

/** Asks again and again, never twice at a time. While nobody answers it asks less and less often, with jitter: pages do not come back all at once. */
export class Poll {
  readonly #options: PollOptions & Required<Pick<PollOptions, 'intervalMs' | 'later' | 'random' | 'now'>>
  #failures = 0
  #forget: (() => void) | undefined
  #isRunning = false
  #isAsking = false
  #isWantedAgain = false

  constructor(options: PollOptions) {
    this.#options = { intervalMs: () => INTERVAL_MS, later: afterMs, random: Math.random, now: () => performance.now(), ...options }
  }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#run()
  }

  stop(): void {
    this.#isRunning = false
    this.#forget?.()
  }

  /** Asks at once, because somebody looks again or the network is back. */
  hurry(): void {
    if (!this.#isRunning || this.#isAsking) return
    this.#forget?.()
    this.#run()
  }

  /** Asks at once, or as soon as the present answer has come, because somebody has changed something. */
  again(): void {
    if (this.#isAsking) this.#isWantedAgain = true
    else this.hurry()
  }

  async #run(): Promise<void> {
    const { ask, onFailure, later, now } = this.#options
    const begun = now()
    this.#isAsking = true
    this.#isWantedAgain = false
    try {
      await ask()
      this.#failures = 0
    } catch (error) {
      this.#failures++
      onFailure(error)
    }
    this.#isAsking = false
    if (!this.#isRunning) return
    const restMs = this.#isWantedAgain ? 0 : this.#restMs(now() - begun)
    this.#forget = later(() => void this.#run(), restMs)
  }

  #restMs(tookMs: number): number {
    const { intervalMs, isHidden, random } = this.#options
    if (this.#failures > 0) return Math.min(MAX_WAIT_MS, INTERVAL_MS * 2 ** (this.#failures - 1)) * (0.5 + random() / 2)
    return Math.max(SHORTEST_REST_MS, Math.max(intervalMs(), isHidden() ? HIDDEN_INTERVAL_MS : 0) - tookMs)
  }
}

/**
 * Asks until there is an answer.
 * @returns a function that ends it. An answer that comes later is dropped
 */
export function askUntilAnswered<T>(ask: () => Promise<T>, onAnswer: (answer: T) => void): () => void {
  let isOver = false
  const end = (): void => {
    isOver = true
    poll.stop()
  }
  const poll = new Poll({
    ask: async () => {
      const answer = await ask()
      if (isOver) return
      end()
      onAnswer(answer)
    },
    // The page shows already that the service does not answer.
    onFailure: () => undefined,
    isHidden: () => false,
  })
  poll.start()
  return end
}

function afterMs(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}
