import { randomUUID } from 'node:crypto'
import type { RequestHandler } from 'express'
import type { Logger } from './logger.ts'
import { withRequestId } from './request-id.ts'
import { context, contextFromHeaders, SpanKind, startSpan, trace } from './telemetry.ts'

/**
 * Gives a request its ids, its server span, its measure and its log line (at debug: under overload a line a request would be one more burden).
 * Everything after it runs with the span active. `X-Request-ID` is taken over when it is 1 to 128 printable characters, else made.
 */
export function httpTelemetry(options: {
  readonly logger: Logger
  readonly observe: (labels: { method: string; route: string; status: number }, seconds: number) => void
}): RequestHandler {
  return (request, response, next) => {
    const started = performance.now()
    const given = request.headers['x-request-id']
    const requestId = typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
    response.setHeader('X-Request-ID', requestId)
    const parent = contextFromHeaders(request.headers)
    const span = startSpan(request.method, {
      kind: SpanKind.SERVER,
      parent,
      attributes: { 'http.request.method': request.method, 'url.path': request.path, 'answerback.request.id': requestId },
    })
    const active = withRequestId(trace.setSpan(parent, span), requestId)

    response.once('close', () => {
      const seconds = (performance.now() - started) / 1000
      const route = typeof request.route?.path === 'string' ? request.route.path : 'unmatched'
      const status = response.statusCode
      span.updateName(`${request.method} ${route}`)
      span.setAttribute('http.route', route)
      span.setAttribute('http.response.status_code', status)
      if (status >= 500) span.setStatus({ code: 2 })
      span.end()
      options.observe({ method: request.method, route, status }, seconds)
      if (options.logger.isLevelEnabled('debug')) {
        context.with(active, () =>
          options.logger.debug({ method: request.method, route, status, duration_ms: Math.round(seconds * 1000) }, 'request answered'),
        )
      }
    })
    context.with(active, next)
  }
}
