import { Pool } from 'undici'
import type { Part } from '#foundation/lifecycle.ts'
import { parseRetryAfterMs } from '#foundation/retry-after.ts'
import { carrierOf, context, failSpan, isSampled, type Span, SpanKind, startSpan, trace } from '#foundation/telemetry.ts'
import { FetchError } from '../domain/fetched-object.ts'
import type { ObjectId } from '../domain/object-id.ts'

const MAX_ANSWER_BYTES = 64 * 1024

export interface ObjectClientOptions {
  /** Origin of the client service; nothing else is ever asked. */
  readonly url: string
  /** Bound for a whole request, headers and body; read for each one. */
  readonly timeoutMs: () => number
}

/**
 * The client service over HTTP: `GET /objects/:id` → `{id, online}`.
 * Its answers are not trusted: one origin, no redirects, no decompression, at most 64 KiB, the whole request within `timeoutMs`, and an
 * answer whose `id` differs or whose `online` is no boolean is garbage.
 */
export class ObjectClient implements Part {
  readonly name = 'object client'
  readonly #origin: URL
  readonly #pool: Pool
  readonly #timeoutMs: () => number

  constructor(options: ObjectClientOptions) {
    this.#origin = new URL(options.url)
    this.#timeoutMs = options.timeoutMs
    // Connections are bounded by the requests under way, which the refresher bounds; each request by its own signal.
    this.#pool = new Pool(this.#origin.origin, {
      connections: null,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 10_000,
    })
  }

  /** Ends all requests under way: they fail with the reason `connection`. */
  async stop(): Promise<void> {
    await this.#pool.destroy()
  }

  /**
   * Asks once, in the trace that is active here.
   * @returns undefined when there is no such object (404); `handle` is the fetch's span
   * @throws {FetchError} with the verdict: timeouts, resets, 5xx, 429 and garbage are worth another try, any other status is final
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

  async #get(
    id: ObjectId,
    active: ReturnType<typeof context.active>,
  ): Promise<{ statusCode: number; retryAfter: number | undefined; body: string }> {
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'GET',
      path: `/objects/${id}`,
      headers: { ...carrierOf(active), accept: 'application/json' },
      signal: AbortSignal.timeout(this.#timeoutMs()),
    })
    let size = 0
    const chunks: Buffer[] = []
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) throw garbage('the answer is too large')
      chunks.push(chunk)
    }
    if (headers['content-encoding'] !== undefined) throw garbage('the answer is encoded')
    return { statusCode, retryAfter: parseRetryAfterMs(headers['retry-after']), body: Buffer.concat(chunks).toString('utf8') }
  }

  #startSpan(id: ObjectId): Span {
    return startSpan('fetch object', {
      kind: SpanKind.CLIENT,
      attributes: {
        'http.request.method': 'GET',
        'url.full': `${this.#origin.origin}/objects/${id}`,
        'server.address': this.#origin.hostname,
        'server.port': Number(this.#origin.port) || 80,
        'answerback.object.id': String(id),
      },
    })
  }
}

function parseOnline(body: string, id: ObjectId): boolean {
  let answer: { id?: unknown; online?: unknown } | null
  try {
    answer = JSON.parse(body) as typeof answer
  } catch (error) {
    throw garbage('the answer is no JSON', { cause: error })
  }
  if (typeof answer?.id !== 'number' || exactId(body, answer.id) !== id) throw garbage('the answer is about another object')
  if (typeof answer.online !== 'boolean') throw garbage('online is no boolean')
  return answer.online
}

/** Beyond 2^53 a double does not say which id was meant: there the digits as they were written count. */
function exactId(body: string, id: number): bigint | undefined {
  if (Number.isSafeInteger(id)) return BigInt(id)
  let source = ''
  parseWithSource(body, (key, value, context) => {
    if (key === 'id' && typeof value === 'number') source = context.source
    return value
  })
  return /^-?\d{1,19}$/.test(source) ? BigInt(source) : undefined
}

/** ECMAScript 2026: https://github.com/tc39/proposal-json-parse-with-source; TypeScript does not know it yet. */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { source: string }) => unknown,
) => unknown

function garbage(detail: string, options: ErrorOptions = {}): FetchError {
  return new FetchError('invalid_answer', { isRetryable: true, isHostTrouble: true }, { cause: new Error(detail, options) })
}

function statusError(statusCode: number, retryAfterMs: number | undefined): FetchError {
  const isRetryable = statusCode === 429 || statusCode >= 500
  return new FetchError(`http_${statusCode}`, {
    isRetryable,
    isHostTrouble: statusCode >= 500,
    retryAfterMs: isRetryable ? retryAfterMs : undefined,
  })
}

function connectionError(error: unknown): FetchError {
  const reason = error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'connection'
  return new FetchError(reason, { isRetryable: true, isHostTrouble: true }, { cause: error })
}
