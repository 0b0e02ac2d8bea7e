import type { IncomingHttpHeaders } from 'node:http'
import { type Dispatcher, Pool } from 'undici'
import type { Part } from '#foundation/lifecycle.ts'
import { parseRetryAfterMs } from '#foundation/retry-after.ts'
import { carrierOf, context, failSpan, isSampled, type Span, SpanKind, startSpan, trace } from '#foundation/telemetry.ts'
import { FetchError } from '../domain/fetched-object.ts'
import type { ObjectId } from '../domain/object-id.ts'
import { garbage, parseOnline } from './object-answer.ts'

const MAX_ANSWER_BYTES = 64 * 1024

export interface ObjectClientOptions {
  /** Where the client service is; its path, if any, comes before that of an object. Nothing else is ever asked. */
  readonly url: string
  /** A connection that waits for a request is closed after so long, or sooner where the client service says so. */
  readonly keepAliveMs: number
  /** Bound for a whole request, headers and body; read for each one. */
  readonly timeoutMs: () => number
}

/**
 * The client service over HTTP: `GET <url>/objects/:id` → `{id, online}`.
 * Its answers are not trusted: one origin, no redirects, no decompression, at most 64 KiB, the whole request within `timeoutMs`, and an
 * answer whose `id` differs or whose `online` is no boolean is garbage.
 */
export class ObjectClient implements Part {
  readonly name = 'object client'
  readonly #url: URL
  readonly #path: string
  readonly #pool: Pool
  readonly #timeoutMs: () => number

  constructor(options: ObjectClientOptions) {
    this.#url = new URL(options.url)
    this.#path = `${this.#url.pathname.replace(/\/+$/, '')}/objects/`
    this.#timeoutMs = options.timeoutMs
    // Connections are bounded by the requests under way, which the refresher bounds; each request by its own timer.
    this.#pool = new Pool(this.#url.origin, {
      connections: null,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: options.keepAliveMs,
    })
  }

  /** Ends all requests under way: they fail with the reason `connection`. */
  async stop(): Promise<void> {
    await this.#pool.destroy()
  }

  /**
   * Asks once, in the trace that is active here.
   * @returns undefined when there is no such object (404); `handle` is the fetch's span
   * @throws {FetchError} with the verdict: timeouts, resets, 5xx, 408, 425, 429 and garbage are worth another try, any other status is final
   */
  async fetch(id: ObjectId): Promise<{ online: boolean; handle: Span | undefined } | undefined> {
    const active = context.active()
    const span = isSampled(active) ? this.#startSpan(id) : undefined
    try {
      const { statusCode, retryAfter, body } = await this.#get(id, span ? trace.setSpan(active, span) : active)
      span?.setAttribute('http.response.status_code', statusCode)
      if (statusCode === 404) return undefined
      if (statusCode !== 200) throw statusError(statusCode, retryAfter)
      return { online: parseOnline(body, id), handle: span }
    } catch (error) {
      const failure = error instanceof FetchError ? error : connectionError(error)
      if (span) failSpan(span, failure)
      throw failure
    } finally {
      span?.end()
    }
  }

  /** Shows in the active trace that it was served by a fetch of another: a span that links to that fetch. */
  shared(id: ObjectId, handle: unknown, sinceMs: number): void {
    if (!isSampled(context.active())) return
    const fetchSpan = handle as Span | undefined
    const span = startSpan('share fetch', {
      startTime: performance.timeOrigin + sinceMs,
      attributes: { 'answerback.object.id': String(id) },
      links: fetchSpan ? [{ context: fetchSpan.spanContext() }] : [],
    })
    span.end()
  }

  #get(id: ObjectId, active: ReturnType<typeof context.active>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = { method: 'GET', path: `${this.#path}${id}`, headers: { ...carrierOf(active), accept: 'application/json' } } as const
      this.#pool.dispatch(request, new AnswerReader({ timeoutMs: this.#timeoutMs(), resolve, reject }))
    })
  }

  #startSpan(id: ObjectId): Span {
    return startSpan('fetch object', {
      kind: SpanKind.CLIENT,
      attributes: {
        'http.request.method': 'GET',
        'url.full': `${this.#url.origin}${this.#path}${id}`,
        'server.address': this.#url.hostname,
        'server.port': Number(this.#url.port) || 80,
        'answerback.object.id': String(id),
      },
    })
  }
}

interface Answer {
  readonly statusCode: number
  readonly retryAfter: number | undefined
  readonly body: string
}

/**
 * Reads one answer whole, within its bounds of size and time. It takes the place of `Pool.request`, whose stream, AbortSignal and listeners
 * cost as much as the request itself.
 */
class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (error: Error) => void
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #timeout: FetchError | undefined
  #statusCode = 0
  #headers: IncomingHttpHeaders = {}
  readonly #chunks: Buffer[] = []
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

  onResponseStart(_controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    this.#statusCode = statusCode
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > MAX_ANSWER_BYTES) controller.abort(garbage('the answer is too large'))
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer)
    if (this.#headers['content-encoding'] !== undefined) {
      this.#reject(garbage('the answer is encoded'))
      return
    }
    const retryAfter = parseRetryAfterMs(this.#headers['retry-after'])
    const body = (this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)).toString('utf8')
    this.#resolve({ statusCode: this.#statusCode, retryAfter, body })
  }

  onResponseError(_controller: unknown, error: Error): void {
    clearTimeout(this.#timer)
    this.#reject(error)
  }

  /** A request that still waits for its connection has no controller yet: it fails now, and is aborted when it would begin. */
  #expire(): void {
    this.#timeout = new FetchError('timeout', { isRetryable: true, isHostTrouble: true })
    if (this.#controller) this.#controller.abort(this.#timeout)
    else this.#reject(this.#timeout)
  }
}

/** Request Timeout, Too Early, Too Many Requests: the host is well, and the object is to be asked again. */
const PUSHED_BACK: readonly number[] = [408, 425, 429]

function statusError(statusCode: number, retryAfterMs: number | undefined): FetchError {
  const isHostTrouble = statusCode >= 500
  const isRetryable = isHostTrouble || PUSHED_BACK.includes(statusCode)
  return new FetchError(`http_${statusCode}`, { isRetryable, isHostTrouble, retryAfterMs: isRetryable ? retryAfterMs : undefined })
}

function connectionError(error: unknown): FetchError {
  return new FetchError('connection', { isRetryable: true, isHostTrouble: true }, { cause: error })
}
