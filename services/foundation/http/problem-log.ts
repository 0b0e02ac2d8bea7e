import type { Logger } from '../telemetry/logger.ts'

/** Limit of log lines, because a flood of bad requests must not fill the disk. */
const LINES_A_SECOND = 20

/** Logs refused requests at level info, at most 20 lines a second. `left_out` on the next line says how many it left out. */
export class ProblemLog {
  readonly #logger: Logger
  readonly #nowMs: () => number
  #sinceMs = Number.NEGATIVE_INFINITY
  #lines = 0
  #leftOut = 0

  constructor(logger: Logger, nowMs: () => number = () => performance.now()) {
    this.#logger = logger
    this.#nowMs = nowMs
  }

  tell(fields: object): void {
    if (this.#nowMs() - this.#sinceMs >= 1000) {
      this.#sinceMs = this.#nowMs()
      this.#lines = 0
    }
    if (this.#lines === LINES_A_SECOND) {
      this.#leftOut += 1
      return
    }
    this.#lines += 1
    this.#logger.info({ ...fields, ...(this.#leftOut > 0 && { left_out: this.#leftOut }) }, 'request refused')
    this.#leftOut = 0
  }
}
