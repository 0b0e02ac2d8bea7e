import { Webhook } from 'standardwebhooks'
import { Pool } from 'undici'
import { parseRetryAfterMs } from '#foundation/http/retry-after.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { carrierOf, context, failSpan, inSpan, type Span, SpanKind } from '#foundation/telemetry/tracing.ts'
import type { EmittedCallback, PostOutcome } from '../domain/emitted-callback.ts'

/** The most connections to the callback service; more callbacks wait for one, within their timeout. */
const MAX_CONNECTIONS = 64

export interface CallbackClientOptions {
  /** The callback service; a path in it is kept before `/callback`. */
  readonly url: string
  /** To sign callbacks with, as Standard Webhooks defines it; empty: they are not signed. */
  readonly secret: string
  /** Bound for a whole attempt: connection, headers and body. Read for each one. */
  readonly timeoutMs: () => number
}

/** The callback service over HTTP: `POST /callback`. */
export class CallbackClient implements Part {
  readonly name = 'callback client'
  readonly #url: URL
  readonly #pool: Pool
  readonly #timeoutMs: () => number
  readonly #webhook: Webhook | undefined

  constructor({ url, secret, timeoutMs }: CallbackClientOptions) {
    this.#url = new URL(`${url.replace(/\/$/, '')}/callback`)
    this.#timeoutMs = timeoutMs
    this.#webhook = secret === '' ? undefined : new Webhook(secret)
    // undici's own timeouts watch single phases; the attempt as a whole has one signal.
    this.#pool = new Pool(this.#url.origin, { connections: MAX_CONNECTIONS, headersTimeout: 0, bodyTimeout: 0 })
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    await this.#pool.destroy()
  }

  /** Sends a callback once, in a client span of the active trace. An abort of `signal` is `unavailable` like any other missing answer. */
  post(callback: EmittedCallback, signal: AbortSignal): Promise<PostOutcome> {
    const attributes = {
      'http.request.method': 'POST',
      'url.full': this.#url.href,
      'server.address': this.#url.hostname,
      'server.port': Number(this.#url.port) || (this.#url.protocol === 'https:' ? 443 : 80),
    }
    return inSpan('POST /callback', { kind: SpanKind.CLIENT, attributes }, async span => {
      try {
        return await this.#post(callback, { span, signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs())]) })
      } catch (error) {
        failSpan(span, error)
        return { kind: 'unavailable', reason: reasonOf(error) }
      }
    })
  }

  async #post(callback: EmittedCallback, { span, signal }: { span: Span; signal: AbortSignal }): Promise<PostOutcome> {
    const text = JSON.stringify({ object_ids: callback.objectIds })
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'POST',
      path: this.#url.pathname,
      headers: {
        ...carrierOf(context.active()),
        'content-type': 'application/json',
        'idempotency-key': callback.idempotencyKey,
        ...this.#signature(callback.idempotencyKey, text),
      },
      body: text,
      signal,
    })
    // Read to its end, the connection serves the next callback; the answer's text says nothing the status does not.
    await body.dump()
    span.setAttribute('http.response.status_code', statusCode)
    if (statusCode >= 200 && statusCode < 300) return { kind: 'taken' }
    failSpan(span, new Error(`http_${statusCode}`))
    if (statusCode < 500) return { kind: 'refused', status: statusCode }
    return { kind: 'unavailable', reason: `http_${statusCode}`, retryAfterMs: parseRetryAfterMs(headers['retry-after']) }
  }

  #signature(id: string, body: string): Record<string, string> {
    if (!this.#webhook) return {}
    const now = new Date()
    const timestamp = String(Math.floor(now.getTime() / 1000))
    return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': this.#webhook.sign(id, now, body) }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return 'timeout'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
