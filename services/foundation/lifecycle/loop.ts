import type { Logger } from '../telemetry/logger.ts'
import { MAX_TIMER_MS } from './rest.ts'

/**
 * The skeleton of every background duty: run one pass, rest as long as the pass says, and again.
 *
 * A pass that throws is tried again after a rest that doubles from `retryMs` (100) to `maxRetryMs` (1000); a streak of failures
 * is logged once when it begins and once when it ends. `wake()` cuts a rest short, and a wake during a pass is not lost.
 */
export interface LoopOptions {
  readonly name: string
  readonly logger: Logger
  /** @returns milliseconds to rest; 0 goes on at once, Infinity rests until woken */
  readonly pass: (signal: AbortSignal) => Promise<number>
  readonly retryMs?: number
  readonly maxRetryMs?: number
  /** Trouble that another duty reports: logged at debug here, so that one outage is not told six times. */
  readonly isReportedElsewhere?: (error: unknown) => boolean
}

export class Loop {
  readonly name: string
  readonly #options: LoopOptions
  readonly #stop = new AbortController()
  #endRest: () => void = () => {}
  #woken = false
  #running: Promise<void> | undefined
  #failures = 0
  /** How loud the end of a streak of failures is: as loud as its beginning. */
  #level: 'info' | 'debug' = 'info'

  constructor(options: LoopOptions) {
    this.name = options.name
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the rest under way, or the next one before it begins. */
  wake(): void {
    this.#woken = true
    this.#endRest()
  }

  /** Lets the pass under way end (its signal is aborted) and resolves when it has. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#woken = false
      const restMs = await this.#pass()
      if (restMs > 0 && !this.#woken) await this.#sleep(restMs)
    }
  }

  async #pass(): Promise<number> {
    const { logger, name, pass, retryMs = 100, maxRetryMs = 1000 } = this.#options
    try {
      const restMs = await pass(this.#stop.signal)
      if (this.#failures > 0) logger[this.#level]({ duty: name, failures: this.#failures }, 'background duty recovered')
      this.#failures = 0
      return restMs
    } catch (error) {
      if (this.#stop.signal.aborted) return 0
      this.#logFailure(error)
      this.#failures += 1
      return Math.min(maxRetryMs, retryMs * 2 ** (this.#failures - 1))
    }
  }

  #logFailure(error: unknown): void {
    const { logger, name, isReportedElsewhere } = this.#options
    const level = isReportedElsewhere?.(error) ? 'debug' : 'info'
    // One line a streak; but what nobody else reports is told also when the streak began with what somebody does.
    if (this.#failures > 0 && (level === 'debug' || this.#level === 'info')) return
    this.#level = level
    // Expected trouble carries a code and needs no stack.
    const what = error instanceof Error && 'code' in error ? { reason: error.message, code: error.code } : { err: error }
    logger[this.#level === 'info' ? 'warn' : 'debug']({ duty: name, ...what }, 'background duty failed, retrying')
  }

  /** No AbortController: one is woken by every commit, and an abort costs as much as ten timers. */
  #sleep(restMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, Math.min(restMs, MAX_TIMER_MS)).unref()
      this.#endRest = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
