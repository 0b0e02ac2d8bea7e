import { Webhook } from 'standardwebhooks'
import { Pool } from 'undici'
import { parseRetryAfterMs } from '#foundation/http/retry-after.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { carrierOf, context, failSpan, inSpan, type Span, SpanKind } from '#foundation/telemetry/spans.ts'
import type { EmittedCallback, PostOutcome } from '../domain/emitted-callback.ts'

/** Maximum number of connections to the callback service. Further callbacks wait for a connection, within their timeout. */
const MAX_CONNECTIONS = 64
/** The one status below 500 after which the same callback may be taken later. */
const TOO_MANY_REQUESTS = 429

export interface CallbackClientOptions {
  /** URL of the callback service. Its path, if any, is the prefix of `/callback`. */
  readonly url: string
  /** Key for the callback service. Empty: none. */
  readonly key: string
  /** Secret that signs callbacks, as Standard Webhooks defines it. Empty: callbacks are not signed. */
  readonly secret: string
  /** Maximum time for a whole attempt: connection, headers and body. It is read for each attempt. */
  readonly timeoutMs: () => number
}

/** Sends callbacks to the callback service over HTTP: `POST /callback`. */
export class CallbackClient implements Part {
  readonly name = 'callback client'
  readonly #url: URL
  readonly #pool: Pool
  readonly #timeoutMs: () => number
  readonly #authorization: Readonly<Record<string, string>>
  readonly #webhook: Webhook | undefined

  constructor({ url, key, secret, timeoutMs }: CallbackClientOptions) {
    this.#url = new URL(`${url.replace(/\/$/, '')}/callback`)
    this.#timeoutMs = timeoutMs
    this.#authorization = key === '' ? {} : { authorization: `Bearer ${key}` }
    this.#webhook = secret === '' ? undefined : new Webhook(secret)
    // undici's timeouts bound single phases. One signal bounds the whole attempt instead.
    this.#pool = new Pool(this.#url.origin, { connections: MAX_CONNECTIONS, headersTimeout: 0, bodyTimeout: 0 })
  }

  /** Ends all requests under way. */
  async stop(): Promise<void> {
    await this.#pool.destroy()
  }

  /** Sends a callback once, in a client span of the active trace. An aborted request is `unavailable`, like any other without an answer. */
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
        ...this.#authorization,
        'content-type': 'application/json',
        'idempotency-key': callback.idempotencyKey,
        ...this.#signature(callback.idempotencyKey, text),
      },
      body: text,
      signal,
    })
    // The body is read to its end, so that the connection can serve the next callback. Its text adds nothing to the status.
    await body.dump()
    span.setAttribute('http.response.status_code', statusCode)
    if (statusCode >= 200 && statusCode < 300) return { kind: 'taken' }
    failSpan(span, new Error(`http_${statusCode}`))
    if (statusCode < 500 && statusCode !== TOO_MANY_REQUESTS) return { kind: 'refused', status: statusCode }
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
