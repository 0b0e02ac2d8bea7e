import { context, trace } from '@opentelemetry/api'
import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import type { Logger } from '../telemetry/logger.ts'
import { ProblemLog } from './problem-log.ts'
import { requestIdOf } from './request-id.ts'

/** What a stable code means over HTTP. */
export interface ProblemKind {
  readonly status: number
  readonly title: string
}

/** One thing that is wrong inside a body: where (RFC 6901 pointer), which code, and why. */
export interface ProblemDetail {
  readonly pointer: string
  readonly code: string
  readonly detail: string
}

/** The problems any of our services can answer. Each service adds its own in its `api/problems.ts`. */
export const HTTP_PROBLEMS = {
  bad_request: { status: 400, title: 'The request is not valid HTTP' },
  invalid_path: { status: 400, title: 'The path cannot be decoded' },
  invalid_json: { status: 400, title: 'The body is not JSON' },
  empty_body: { status: 400, title: 'The body is empty' },
  invalid_parameter: { status: 400, title: 'A query parameter is not valid' },
  host_not_allowed: { status: 403, title: 'The port may not be asked under this name' },
  cross_site: { status: 403, title: 'The request comes from another site' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The media type is not supported' },
  unsupported_encoding: { status: 415, title: 'The content encoding is not supported' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  invalid_setting: { status: 422, title: 'A setting is not valid' },
  unknown_setting: { status: 422, title: 'There is no such setting' },
  not_changeable: { status: 422, title: 'The setting cannot change while the service runs' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
  profile_running: { status: 503, title: 'A profile is being taken' },
  shutting_down: { status: 503, title: 'The service is shutting down' },
} as const satisfies Readonly<Record<string, ProblemKind>>

export type HttpProblemCode = keyof typeof HTTP_PROBLEMS

/** An answer that is not a success, thrown by a route and written by `problemHandler`. */
export class HttpProblem extends Error {
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  readonly errors: readonly ProblemDetail[] | undefined

  constructor(
    code: string,
    detail: string,
    options: { headers?: Record<string, string>; errors?: readonly ProblemDetail[]; cause?: unknown } = {},
  ) {
    // It is an answer: nobody reads its stack, and taking one costs as much as half the answer.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(detail, { cause: options.cause })
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.headers = options.headers ?? {}
    this.errors = options.errors
  }
}

/**
 * The body of a problem answer (RFC 9457).
 * `operation_id` is the trace id of the request, under which its spans and log lines are found; `request_id` its X-Request-ID.
 */
export function problemBody(
  code: string,
  kind: ProblemKind,
  detail: string,
  more: { instance?: string; errors?: readonly ProblemDetail[] | undefined } = {},
): string {
  const active = context.active()
  return JSON.stringify({
    type: `urn:answerback:problem:${code}`,
    title: kind.title,
    status: kind.status,
    detail,
    instance: more.instance,
    code,
    errors: more.errors,
    operation_id: trace.getSpanContext(active)?.traceId,
    request_id: requestIdOf(active),
  })
}

/** At most 64 characters of what a stranger sent, for quoting it back. */
export function excerpt(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 63)}…`
}

/** The last route: whatever came this far does not exist. */
export const notFound: RequestHandler = () => {
  throw new HttpProblem('not_found', 'No resource has this path.')
}

/** Answers 405 and says what is allowed. Stands behind the allowed methods of a path. */
export function methodNotAllowed(...allowed: string[]): RequestHandler {
  return () => {
    throw new HttpProblem('method_not_allowed', `Allowed here: ${allowed.join(', ')}.`, { headers: { Allow: allowed.join(', ') } })
  }
}

/**
 * Writes every error as a problem. `translate` turns the errors of a service's own rooms into problems; what it does not know
 * is a bug: the log has it whole, the answer says nothing of it. Of the others the log has a line each, as long as they are few.
 */
export function problemHandler(options: {
  readonly kinds: Readonly<Record<string, ProblemKind>>
  readonly translate?: (error: unknown) => HttpProblem | undefined
  readonly logger: Logger
}): ErrorRequestHandler {
  const refusals = new ProblemLog(options.logger)
  return (error: unknown, request, response, _next) => {
    const problem = error instanceof HttpProblem ? error : (options.translate?.(error) ?? expressProblem(error))
    const kind = problem && options.kinds[problem.code]
    if (!problem || !kind || kind.status === 500)
      options.logger.error({ err: error, method: request.method, path: excerpt(request.path) }, 'request failed on a bug')
    else
      refusals.tell({
        method: request.method,
        path: excerpt(request.path),
        status: kind.status,
        code: problem.code,
        detail: problem.message,
      })
    if (response.headersSent) {
      response.destroy()
      return
    }
    sendProblem(response, excerpt(request.path), problem && kind ? { problem, kind } : internal())
  }
}

function sendProblem(response: Response, instance: string, { problem, kind }: { problem: HttpProblem; kind: ProblemKind }): void {
  const body = problemBody(problem.code, kind, problem.message, { instance, errors: problem.errors })
  for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value)
  response.statusCode = kind.status
  response.setHeader('Content-Type', 'application/problem+json')
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.end(body)
}

function internal(): { problem: HttpProblem; kind: ProblemKind } {
  return { problem: new HttpProblem('internal_error', 'The log has more under this operation_id.'), kind: HTTP_PROBLEMS.internal_error }
}

/** What Express and its router throw by themselves: an undecodable path, an aborted request. */
function expressProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof URIError) return new HttpProblem('invalid_path', 'The path holds an invalid percent-encoding.', { cause: error })
  return undefined
}
