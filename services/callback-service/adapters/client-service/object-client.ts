import { Pool } from 'undici'
import type { Part } from '#foundation/lifecycle/parts.ts'
import {
  type Context,
  carrierOf,
  context,
  failSpan,
  isSampled,
  type Span,
  SpanKind,
  startSpan,
  trace,
} from '#foundation/telemetry/tracing.ts'
import { FetchError, type ObjectAnswer } from '../../domain/fetching/fetched-object.ts'
import type { ObjectId } from '../../domain/object-id.ts'
import { type Answer, AnswerReader } from './answer-reader.ts'
import { parseOnline } from './object-answer.ts'

export interface ObjectClientOptions {
  /** Where the client service is; its path, if any, comes before that of an object. Nothing else is ever asked. */
  readonly url: string
  /** A connection that waits for a request is closed after so long, or sooner where the client service says so. */
  readonly keepAliveMs: number
  /** Bytes of a callback's baggage that are passed on: whole members, as many as fit. */
  readonly maxBaggageBytes: number
  /** Bound for a whole request, headers and body; read for each one. */
  readonly timeoutMs: () => number
}

/**
 * The client service over HTTP: `GET <url>/objects/:id` → `{id, online}`.
 * Its answers are not trusted: one origin, no redirects, no decompression, at most 64 KiB in at most 1,024 pieces after at most 8 informational
 * ones, the whole request within `timeoutMs`. An answer whose `id` differs or whose `online` is no boolean is garbage.
 */
export class ObjectClient implements Part {
  readonly name = 'object client'
  readonly #url: URL
  readonly #path: string
  readonly #pool: Pool
  readonly #maxBaggageBytes: number
  readonly #timeoutMs: () => number
  /** The spans of recorded requests, by what they brought. */
  readonly #spans = new WeakMap<ObjectAnswer, Span>()

  constructor(options: ObjectClientOptions) {
    this.#url = new URL(options.url)
    this.#path = `${this.#url.pathname.replace(/\/+$/, '')}/objects/`
    this.#maxBaggageBytes = options.maxBaggageBytes
    this.#timeoutMs = options.timeoutMs
    // Connections are bounded by the requests under way, which the object fetcher bounds; each request by its own timer.
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
   * @returns undefined when there is no such object (404)
   * @throws {FetchError} with the verdict: timeouts, resets, 5xx, 408, 425, 429 and garbage are worth another try, any other status is final
   */
  async fetch(id: ObjectId): Promise<ObjectAnswer | undefined> {
    const active = context.active()
    const span = isSampled(active) ? this.#startSpan(id) : undefined
    try {
      const { statusCode, retryAfter, body } = await this.#get(id, this.#headersIn(span ? trace.setSpan(active, span) : active, span))
      span?.setAttribute('http.response.status_code', statusCode)
      if (statusCode === 404) return undefined
      if (statusCode !== 200) throw statusError(statusCode, retryAfter)
      const answer = { online: parseOnline(body, id) }
      if (span) this.#spans.set(answer, span)
      return answer
    } catch (error) {
      const failure = error instanceof FetchError ? error : connectionError(error)
      if (span) failSpan(span, failure)
      throw failure
    } finally {
      span?.end()
    }
  }

  /** Shows in the active trace that another callback's fetch served it: a span that links to that fetch. */
  shared(id: ObjectId, answer: ObjectAnswer | undefined, sinceMs: number): void {
    if (!isSampled(context.active())) return
    const fetchSpan = answer && this.#spans.get(answer)
    const span = startSpan('share fetch', {
      startTime: performance.timeOrigin + sinceMs,
      attributes: { 'answerback.object.id': String(id) },
      links: fetchSpan ? [{ context: fetchSpan.spanContext() }] : [],
    })
    span.end()
  }

  /** A sender's baggage must not make the request larger than the client service allows. */
  #headersIn(active: Context, span: Span | undefined): Record<string, string | undefined> {
    const carrier = carrierOf(active)
    const baggage = leadingMembers(carrier.baggage, this.#maxBaggageBytes)
    const droppedBytes = (carrier.baggage?.length ?? 0) - (baggage?.length ?? 0)
    if (droppedBytes > 0) span?.setAttribute('answerback.baggage.dropped_bytes', droppedBytes)
    return { ...carrier, baggage, accept: 'application/json' }
  }

  #get(id: ObjectId, headers: Record<string, string | undefined>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const request = { method: 'GET', path: `${this.#path}${id}`, headers } as const
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

/** The members of a list, divided by commas, that fit into so many bytes; a header has one character a byte. */
function leadingMembers(list: string | undefined, maxBytes: number): string | undefined {
  if (list === undefined || list.length <= maxBytes) return list
  const end = list.lastIndexOf(',', maxBytes)
  return end > 0 ? list.slice(0, end) : undefined
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
