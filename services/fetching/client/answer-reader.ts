import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { parseRetryAfterMs } from '#foundation/http/retry-after.ts'
import { FetchError } from '../fetched-object.ts'
import { garbage } from './object-answer.ts'

const MAX_ANSWER_BYTES = 64 * 1024
/** Maximum number of pieces of an answer. More pieces cost far more work than their bytes; an honest answer comes in a few. */
const MAX_PIECES = 1024
/** Maximum number of answers with a 1xx status before the final one. */
const MAX_INFORMATIONAL = 8

/** An answer of the client service, with any status. */
export interface Answer {
  readonly statusCode: number
  readonly retryAfter: number | undefined
  readonly body: string
}

const NOTHING = Buffer.alloc(0)

/**
 * Reads one whole answer within bounds of size and time. It replaces `Pool.request`, whose stream, AbortSignal and listeners cost as much
 * as the request itself.
 */
export class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: Error) => void
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #timeout: FetchError | undefined
  #statusCode = 0
  #headers: IncomingHttpHeaders = {}
  #informational = 0
  #pieces = 0
  /** One buffer with a copy of each piece. Keeping a piece itself would keep the whole socket buffer that it lies in. */
  #body = NOTHING
  #size = 0

  constructor({ timeoutMs, resolve, reject }: { timeoutMs: number; resolve: (answer: Answer) => void; reject: (error: Error) => void }) {
    this.#resolve = resolve
    this.#reject = reject
    this.#timer = setTimeout(() => this.#expire(), timeoutMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#timeout) controller.abort(this.#timeout)
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    if (statusCode < 200) {
      this.#informational += 1
      if (this.#informational > MAX_INFORMATIONAL) controller.abort(garbage('too many informational answers'))
      return
    }
    this.#statusCode = statusCode
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#pieces += 1
    const size = this.#size + chunk.length
    if (size > MAX_ANSWER_BYTES) controller.abort(garbage('the answer is too large'))
    else if (this.#pieces > MAX_PIECES) controller.abort(garbage('the answer comes in too many pieces'))
    else this.#append(chunk, size)
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer)
    if (this.#headers['content-encoding'] !== undefined) {
      this.#reject(garbage('the answer is encoded'))
      return
    }
    const retryAfter = parseRetryAfterMs(this.#headers['retry-after'])
    this.#resolve({ statusCode: this.#statusCode, retryAfter, body: this.#body.toString('utf8', 0, this.#size) })
  }

  onResponseError(_controller: unknown, error: Error): void {
    clearTimeout(this.#timer)
    this.#reject(error)
  }

  #append(chunk: Buffer, size: number): void {
    if (size > this.#body.length) {
      const grown = Buffer.allocUnsafe(this.#size === 0 ? size : Math.min(2 * size, MAX_ANSWER_BYTES))
      this.#body.copy(grown, 0, 0, this.#size)
      this.#body = grown
    }
    chunk.copy(this.#body, this.#size)
    this.#size = size
  }

  /**
   * Ends the request at its deadline. If it still waits for a connection, it has no controller: it fails now, and is aborted when it
   * begins.
   */
  #expire(): void {
    this.#timeout = new FetchError('timeout', { isRetryable: true, isHostTrouble: true })
    if (this.#controller) this.#controller.abort(this.#timeout)
    else this.#reject(this.#timeout)
  }
}
