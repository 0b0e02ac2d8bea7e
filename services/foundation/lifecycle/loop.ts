import type { Logger } from '../telemetry/logger.ts'
import { MAX_TIMER_MS } from './rest.ts'

export interface LoopOptions {
  readonly name: string
  readonly logger: Logger
  /** Does the work once. @returns milliseconds to rest; 0 continues at once, Infinity rests until `wake` */
  readonly pass: (signal: AbortSignal) => Promise<number>
  /** Rest after the first failure (default: 100). It doubles with each further failure. */
  readonly retryMs?: number
  /** Longest rest after a failure (default: 1000). */
  readonly maxRetryMs?: number
  /** Whether another duty reports the error. Then it is logged at debug here, so that one outage is not logged six times. */
  readonly isReportedElsewhere?: (error: unknown) => boolean
}

/**
 * The skeleton of every background duty: it runs a pass, rests as long as the pass says, and starts again.
 *
 * If a pass throws, the loop tries again after a rest. It logs a streak of failures once when it begins and once when it ends. `wake()`
 * ends a rest early. A wake during a pass is not lost.
 */
export class Loop {
  readonly name: string
  readonly #options: LoopOptions
  readonly #stop = new AbortController()
  #endRest: () => void = () => {}
  #woken = false
  #running: Promise<void> | undefined
  #failures = 0
  /** The log level for the end of a streak of failures. It corresponds to that of its beginning. */
  #level: 'info' | 'debug' = 'info'

  constructor(options: LoopOptions) {
    this.name = options.name
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the rest under way. During a pass, it skips the next rest. */
  wake(): void {
    this.#woken = true
    this.#endRest()
  }

  /** Aborts the signal of the pass under way, and resolves when that pass has ended. */
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
    // Each streak is logged once. If it began with an error that is reported elsewhere, the first other error is logged too.
    if (this.#failures > 0 && (level === 'debug' || this.#level === 'info')) return
    this.#level = level
    // Expected errors have a code and need no stack trace.
    const what = error instanceof Error && 'code' in error ? { reason: error.message, code: error.code } : { err: error }
    logger[this.#level === 'info' ? 'warn' : 'debug']({ duty: name, ...what }, 'background duty failed, retrying')
  }

  /** Rests for that time. It uses no AbortController, because every commit wakes a loop, and an abort costs as much as ten timers. */
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
