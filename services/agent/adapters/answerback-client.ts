import { type Dispatcher, EnvHttpProxyAgent, Pool } from 'undici'
import { requestIdOf } from '#foundation/http/request-id.ts'
import { parseRetryAfterMs } from '#foundation/http/retry-after.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { carrierOf, context, inSpan, isSampled, type Span, SpanKind } from '#foundation/telemetry/spans.ts'
import { AnswerbackUnavailableError, LeaseLostError, RequestRefusedError } from '../domain/answerback-errors.ts'
import type { Answerback, DeliveredObject, Lease, Unstored, Verdict } from '../domain/lease.ts'
import { readAnswer } from './bounded-answer.ts'
import { isUse, parseLeases, parseProblem, parseState } from './lease-answer.ts'

export interface AnswerbackClientOptions {
  /** URL of the callback service. Its path, if any, is the prefix of all paths. */
  readonly url: string
  /** Key of the agent. Empty: none. */
  readonly key: string
  /** Id of the agent, or `self`. */
  readonly agentId: string
  /** Workspace of the agent. Empty: that of the key, or the default one. */
  readonly workspace: string
  /** Version of this program. */
  readonly version: string
  /** Maximum time for a whole request. A request for leases may also wait. */
  readonly timeoutMs: number
  /** Proxy for https, and the hosts that need none. Empty: none. */
  readonly proxy: { readonly url: string; readonly except: string }
}

interface Request {
  readonly method: 'POST' | 'PUT' | 'PATCH'
  readonly path: string
  readonly body: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

interface Answer {
  readonly status: number
  readonly text: string
}

/** Statuses after which the same request may succeed: Request Timeout, Too Early, Too Many Requests, and those that a new key or a restored agent ends. */
const PASSING: readonly number[] = [401, 403, 408, 425, 429]
const MAX_DURATION_SECONDS = 300

/** Talks to the callback service over HTTP, through a proxy if there is one. It does not trust the answers, and follows no redirect. */
export class AnswerbackClient implements Answerback, Part {
  readonly name = 'answerback client'
  readonly #options: AnswerbackClientOptions
  readonly #base: URL
  readonly #prefix: string
  readonly #dispatcher: Dispatcher

  constructor(options: AnswerbackClientOptions) {
    this.#options = options
    this.#base = new URL(options.url)
    this.#prefix = this.#base.pathname.replace(/\/+$/, '')
    // undici's timeouts bound single phases. One signal bounds the whole request instead.
    // An empty text keeps undici from reading the environment.
    const { url, except } = options.proxy
    this.#dispatcher = new EnvHttpProxyAgent({
      httpProxy: '',
      httpsProxy: url,
      noProxy: except,
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      // All requests wait for a tunnel that the proxy neither gives nor refuses. So it must not take long.
      clientFactory: (origin, client) => new Pool(origin, { ...client, headersTimeout: options.timeoutMs }),
    })
  }

  /** Ends all requests under way. */
  async stop(): Promise<void> {
    await this.#dispatcher.destroy()
  }

  async lease(
    { callbacks, objects, waitSeconds }: { callbacks: number; objects: number; waitSeconds: number },
    signal: AbortSignal,
  ): Promise<Lease[]> {
    const { agentId, workspace, timeoutMs, version } = this.#options
    const { status, text } = await this.#ask({
      method: 'POST',
      path: `/v1/agents/${agentId}/leases${workspace === '' ? '' : `?workspace_id=${workspace}`}`,
      body: JSON.stringify({ wait_seconds: waitSeconds, max_callbacks: callbacks, max_objects: objects, version }),
      timeoutMs: waitSeconds * 1000 + timeoutMs,
      signal,
    })
    if (status === 204) return []
    // A wrong id, an archived agent, a bug: asking again is all that an agent can do, in case somebody mends it.
    if (status !== 201) throw new AnswerbackUnavailableError(reasonOf(status, text))
    const leases = parseLeases(text)
    if (!leases) throw new AnswerbackUnavailableError('invalid_answer')
    return leases
  }

  async deliver({ objects: path }: Lease, objects: readonly DeliveredObject[]): Promise<void> {
    const items = objects.map(({ id, online }) => `{"id":${id},"online":${online}}`)
    const attributes = { 'answerback.object.count': objects.length }
    requireUse(await this.#use({ name: 'deliver objects', attributes }, { method: 'PUT', path, body: `{"objects":[${items}]}` }))
  }

  async extend({ location: path, durationMs }: Lease): Promise<void> {
    const seconds = Math.max(1, Math.min(MAX_DURATION_SECONDS, Math.round(durationMs / 1000)))
    requireUse(await this.#use({ name: 'extend lease' }, { method: 'PATCH', path, body: `{"extend_seconds":${seconds}}` }))
  }

  async end({ location: path }: Lease, verdict: Verdict): Promise<string> {
    const text = await this.#use({ name: 'end lease' }, { method: 'PATCH', path, body: bodyOf(verdict) })
    const state = parseState(text)
    if (state === undefined) throw new AnswerbackUnavailableError('invalid_answer')
    return state
  }

  /** Uses a lease once, in a client span of the active trace. */
  #use(
    { name, attributes = {} }: { name: string; attributes?: Record<string, number> },
    request: Pick<Request, 'method' | 'path' | 'body'>,
  ): Promise<string> {
    const send = async (span?: Span): Promise<string> => {
      const { status, text } = await this.#ask({ ...request, timeoutMs: this.#options.timeoutMs })
      span?.setAttribute('http.response.status_code', status)
      if (status === 200) return text
      if (status === 410) throw new LeaseLostError('the lease is lost')
      throw new RequestRefusedError(reasonOf(status, text))
    }
    if (!isSampled(context.active())) return send()
    const all = {
      'http.request.method': request.method,
      'server.address': this.#base.hostname,
      'server.port': Number(this.#base.port) || (this.#base.protocol === 'https:' ? 443 : 80),
      ...attributes,
    }
    return inSpan(name, { kind: SpanKind.CLIENT, attributes: all }, send)
  }

  /** Sends one request and reads the whole answer. @throws {AnswerbackUnavailableError} it got none, or one that says that a later one may succeed */
  async #ask({ method, path, body, timeoutMs, signal }: Request): Promise<Answer> {
    const late = AbortSignal.timeout(timeoutMs)
    const { status, headers, text } = await readAnswer(this.#dispatcher, {
      origin: this.#base.origin,
      path: this.#prefix + path,
      method,
      headers: this.#headers(),
      body,
      signal: signal ? AbortSignal.any([signal, late]) : late,
    })
    if (status >= 500 || PASSING.includes(status))
      throw new AnswerbackUnavailableError(reasonOf(status, text), { retryAfterMs: parseRetryAfterMs(headers['retry-after']) })
    return { status, text }
  }

  #headers(): Record<string, string | undefined> {
    const active = context.active()
    const { key } = this.#options
    const requestId = requestIdOf(active)
    return {
      ...carrierOf(active),
      ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
      ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
      'content-type': 'application/json',
      accept: 'application/json',
    }
  }
}

function requireUse(text: string): void {
  if (!isUse(text)) throw new AnswerbackUnavailableError('invalid_answer')
}

function bodyOf(verdict: Verdict): string {
  const unstored = `"unstored":[${verdict.unstored.map(unstoredText)}]`
  if (verdict.state === 'completed') return `{"state":"completed",${unstored}}`
  const { isCharged, retryAfterMs } = verdict
  return `{"state":"pending",${unstored},"charged":${isCharged},"retry_after_seconds":${Math.min(86_400, Math.ceil(retryAfterMs / 1000))}}`
}

function unstoredText({ id, outcome, reason }: Unstored): string {
  return `{"id":${id},"outcome":"${outcome}"${reason === undefined ? '' : `,"reason":${JSON.stringify(reason)}`}}`
}

function reasonOf(status: number, text: string): string {
  return parseProblem(text) ?? `http_${status}`
}
