import { randomBytes, randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'
import type { Logger } from './logger.ts'
import { withRequestId } from './request-id.ts'
import { type Context, context, contextFromHeaders, failSpan, type Span, SpanKind, startSpan, trace } from './telemetry.ts'

/** What is counted for an answer the caller did not wait for; no status of ours has been sent. */
const CLIENT_GONE = 499

export interface HttpTelemetryOptions {
  readonly logger: Logger
  readonly observe?: (labels: { method: string; route: string; status: number }, seconds: number) => void
  /** Paths whose requests leave no span: what machines ask every few seconds would bury the traces of people. */
  readonly isTraced: (path: string) => boolean
}

/**
 * Gives a request its ids, its server span, its measure and its log line (at debug: under overload a line a request would be one more burden).
 * Everything after it runs with the span active. `X-Request-ID` is taken over when it is 1 to 128 printable characters, else made.
 */
export function httpTelemetry({ logger, observe, isTraced }: HttpTelemetryOptions): RequestHandler {
  return (request, response, next) => {
    const started = performance.now()
    const { method, path } = request
    const given = request.headers['x-request-id']
    const requestId = typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
    response.setHeader('X-Request-ID', requestId)
    const parent = contextFromHeaders(request.headers)
    const attributes = { 'http.request.method': method, 'url.path': path, 'answerback.request.id': requestId }
    const span = isTraced(path) ? startSpan(method, { kind: SpanKind.SERVER, parent, attributes }) : unrecorded(parent)
    const active = withRequestId(trace.setSpan(parent, span), requestId)

    response.once('close', () => {
      const seconds = (performance.now() - started) / 1000
      const route = typeof request.route?.path === 'string' ? request.route.path : 'unmatched'
      const status = response.writableFinished ? response.statusCode : CLIENT_GONE
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

/** A span that only lends its ids, for log lines and problem answers. */
function unrecorded(parent: Context): Span {
  const traceId = trace.getSpanContext(parent)?.traceId ?? randomBytes(16).toString('hex')
  return trace.wrapSpanContext({ traceId, spanId: randomBytes(8).toString('hex'), traceFlags: 0 })
}
