import type { LookupFunction } from 'node:net'
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
} from '#foundation/telemetry/spans.ts'
import { FetchError, type ObjectAnswer } from '../fetched-object.ts'
import type { ObjectId } from '../object-id.ts'
import { AddressRefusedError, allowedLookup, isRefusedHost } from './allowed-addresses.ts'
import { type Answer, AnswerReader } from './answer-reader.ts'
import { parseOnline } from './object-answer.ts'

export interface ObjectClientOptions {
  /** Address of the client service. Its path, if any, is the prefix of an object's path. The client sends requests to no other address. */
  readonly url: string
  /** Maximum time an idle connection stays open. The client service may ask for less. */
  readonly keepAliveMs: number
  /** Maximum number of bytes of a callback's baggage to pass on. Only whole members are passed on. */
  readonly maxBaggageBytes: number
  /** Maximum time for a whole request, headers and body. It is read for each request. */
  readonly timeoutMs: () => number
  /** Whether the client may connect to the addresses that `allowed-addresses.ts` refuses. Default: false. */
  readonly allowLinkLocal?: boolean
  /** Resolves the host name for each connection. Default: the resolver of the system, without refused addresses. */
  readonly lookup?: LookupFunction
}

/**
 * Asks the client service for objects over HTTP: `GET <url>/objects/:id` → `{id, online}`. It does not trust the answers. It asks one
 * origin, follows no redirect and decompresses nothing. It accepts at most 64 KiB in at most 1,024 pieces, after at most 8 informational
 * answers. The whole request takes at most `timeoutMs`. An answer with another `id`, or whose `online` is not a boolean, is invalid.
 * It connects to no refused address, whatever the host name leads to.
 */
export class ObjectClient implements Part {
  readonly name = 'object client'
  readonly #url: URL
  readonly #path: string
  readonly #pool: Pool
  readonly #isRefused: boolean
  readonly #maxBaggageBytes: number
  readonly #timeoutMs: () => number
  /** The spans of recorded requests, by the answers that they brought. */
  readonly #spans = new WeakMap<ObjectAnswer, Span>()

  constructor(options: ObjectClientOptions) {
    this.#url = new URL(options.url)
    this.#path = `${this.#url.pathname.replace(/\/+$/, '')}/objects/`
    this.#maxBaggageBytes = options.maxBaggageBytes
    this.#timeoutMs = options.timeoutMs
    const { allowLinkLocal = false, lookup = allowedLookup() } = options
    this.#isRefused = !allowLinkLocal && isRefusedHost(this.#url)
    // The pool needs no bounds: the object fetcher bounds the requests under way, and each request has its own timer.
    this.#pool = new Pool(this.#url.origin, {
      connections: null,
      pipelining: 1,
      // HTTP/2 would send all requests over one connection, whose loss fails them all.
      allowH2: false,
      connect: allowLinkLocal ? {} : { lookup },
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: options.keepAliveMs,
    })
  }

  /** Ends all requests under way. They fail with the reason `connection`. */
  async stop(): Promise<void> {
    await this.#pool.destroy()
  }

  /**
   * Sends one request for an object, in the active trace.
   * @returns undefined if there is no such object (404)
   * @throws {FetchError} retryable after a timeout, a reset, a refused address, an invalid answer, 5xx, 408, 425 or 429; any other status is final
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

  /** Adds a span to the active trace that links to the fetch of another callback, because that fetch served this one too. */
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

  /** Builds the headers of a request. A sender's baggage must not make it larger than the client service allows. */
  #headersIn(active: Context, span: Span | undefined): Record<string, string | undefined> {
    const carrier = carrierOf(active)
    const baggage = leadingMembers(carrier.baggage, this.#maxBaggageBytes)
    const droppedBytes = (carrier.baggage?.length ?? 0) - (baggage?.length ?? 0)
    if (droppedBytes > 0) span?.setAttribute('answerback.baggage.dropped_bytes', droppedBytes)
    return { ...carrier, baggage, accept: 'application/json' }
  }

  #get(id: ObjectId, headers: Record<string, string | undefined>): Promise<Answer> {
    if (this.#isRefused) return Promise.reject(new AddressRefusedError(this.#url.hostname))
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
        'server.port': Number(this.#url.port) || (this.#url.protocol === 'https:' ? 443 : 80),
        'answerback.object.id': String(id),
      },
    })
  }
}

/** Returns the first members of a comma-separated list that fit into `maxBytes`. A header has one byte per character. */
function leadingMembers(list: string | undefined, maxBytes: number): string | undefined {
  if (list === undefined || list.length <= maxBytes) return list
  const end = list.lastIndexOf(',', maxBytes)
  return end > 0 ? list.slice(0, end) : undefined
}

/** Request Timeout, Too Early, Too Many Requests: the host is well and wants us to ask for the object again. */
const PUSHED_BACK: readonly number[] = [408, 425, 429]

function statusError(statusCode: number, retryAfterMs: number | undefined): FetchError {
  const isHostTrouble = statusCode >= 500
  const isRetryable = isHostTrouble || PUSHED_BACK.includes(statusCode)
  return new FetchError(`http_${statusCode}`, { isRetryable, isHostTrouble, retryAfterMs: isRetryable ? retryAfterMs : undefined })
}

function connectionError(error: unknown): FetchError {
  const reason = error instanceof AddressRefusedError ? 'address_refused' : 'connection'
  return new FetchError(reason, { isRetryable: true, isHostTrouble: true }, { cause: error })
}
