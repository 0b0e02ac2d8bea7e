import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { RequestHandler } from 'express'
import type { Logger } from '../telemetry/logger.ts'
import { type Context, context, contextFromHeaders, failSpan, SpanKind, startSpan, trace, unrecordedSpan } from '../telemetry/spans.ts'
import { HTTP_PROBLEMS } from './problem-kinds.ts'
import { refusedWith } from './refused-connections.ts'
import { withRequestId } from './request-id.ts'

/** The status in metrics if the caller did not wait for the answer. The service never sends it. */
const CLIENT_GONE = 499
/** The status of a request that became a WebSocket. Its response is never written: the WebSocket has the connection. */
const SWITCHED = 101

/** Records the duration of an answered request. */
export type ObserveRequest = (labels: { method: string; route: string; status: number }, seconds: number) => void

export interface HttpTelemetryOptions {
  readonly logger: Logger
  readonly observe?: ObserveRequest
  /** Whether requests to this path get a span. Those that machines send every few seconds should not: they would hide all other traces. */
  readonly isTraced: (path: string) => boolean
}

/**
 * Gives a request its ids, its server span, its metric and its log line. The line is at level debug, because it would make an overload worse.
 * Later handlers run with the span active. An `X-Request-ID` of 1 to 128 printable characters stays. Any other request gets a new one.
 */
export function httpTelemetry({ logger, observe, isTraced }: HttpTelemetryOptions): RequestHandler {
  return (request, response, next) => {
    const started = performance.now()
    const { method, path } = request
    const requestId = requestIdFrom(request.headers)
    response.setHeader('X-Request-ID', requestId)
    const parent = contextFromHeaders(request.headers)
    const attributes = { 'http.request.method': method, 'url.path': shortPath(path), 'answerback.request.id': requestId }
    const span = isTraced(path) ? startSpan(method, { kind: SpanKind.SERVER, parent, attributes }) : unrecordedSpan(parent)
    const active = withRequestId(trace.setSpan(parent, span), requestId)

    response.once('close', () => {
      const seconds = (performance.now() - started) / 1000
      const route = typeof request.route?.path === 'string' ? request.route.path : 'unmatched'
      const refusal = refusedWith.get(request.socket)
      const isAnswered = response.writableFinished || response.statusCode === SWITCHED
      const status = isAnswered ? response.statusCode : refusal ? HTTP_PROBLEMS[refusal].status : CLIENT_GONE
      span.updateName(`${method} ${route}`)
      span.setAttribute('http.route', route)
      if (status !== CLIENT_GONE) span.setAttribute('http.response.status_code', status)
      if (status >= 499 && span.isRecording()) failSpan(span, new Error(status === CLIENT_GONE ? 'the caller went away' : `http_${status}`))
      span.end()
      observe?.({ method, route, status }, seconds)
      if (logger.isLevelEnabled('debug')) {
        context.with(active, () => logger.debug({ method, route, status, duration_ms: Math.round(seconds * 1000) }, 'request answered'))
      }
    })
    context.with(active, next)
  }
}

const MAX_PATH = 256

/** Copies what a span keeps of a long path. A slice would keep the whole path in memory as long as the span waits. */
function shortPath(path: string): string {
  return path.length <= MAX_PATH ? path : Buffer.from(path.slice(0, MAX_PATH), 'latin1').toString('latin1')
}

/** Makes the ids for the answer to a request without a span. */
export function bareIds(headers: IncomingHttpHeaders): { requestId: string; active: Context } {
  const requestId = requestIdFrom(headers)
  const parent = contextFromHeaders(headers)
  return { requestId, active: withRequestId(trace.setSpan(parent, unrecordedSpan(parent)), requestId) }
}

function requestIdFrom(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
}
