import type { Logger } from './logger.ts'

/** Maximum number of reasons it logs in one streak, because reasons may contain numbers that never repeat. */
const MAX_KINDS = 20

/** Logs trouble that repeats: one line for each new reason, and one line when the trouble is over. */
export class TroubleLog {
  readonly #logger: Logger
  readonly #began: string
  readonly #ended: string
  readonly #reasons = new Set<string>()

  /** @param phrases log messages: what is wrong now, and what works again afterwards */
  constructor(logger: Logger, phrases: { readonly began: string; readonly ended: string }) {
    this.#logger = logger
    this.#began = phrases.began
    this.#ended = phrases.ended
  }

  tell(reason: string, fields: object = {}): void {
    if (this.#reasons.has(reason) || this.#reasons.size === MAX_KINDS) return
    this.#reasons.add(reason)
    this.#logger.warn({ ...fields, reason }, this.#began)
  }

  /** Ends the streak. Does nothing if there is none. */
  end(fields: object = {}): void {
    if (this.#reasons.size === 0) return
    this.#reasons.clear()
    this.#logger.info(fields, this.#ended)
  }
}
