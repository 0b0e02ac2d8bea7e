import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import type { Logger } from '../telemetry/logger.ts'
import { problemAnswer, writeAnswer } from './answer.ts'
import { HTTP_PROBLEMS, type ProblemKind } from './problem-kinds.ts'
import { ProblemLog } from './problem-log.ts'
import { excerpt, HttpProblem } from './problems.ts'

/** Turns an error of a service's own rooms into a problem; undefined for a bug. After a read (`isRead`), the caller can safely try again. */
export type Translate = (error: unknown, isRead: boolean) => HttpProblem | undefined

export interface ProblemHandlerOptions {
  readonly kinds: Readonly<Record<string, ProblemKind>>
  readonly translate?: Translate
  /** Called with the code of each problem that the handler answers with. */
  readonly onProblem?: (request: Request, code: string) => void
  /** Returns more fields of the log line of a request, such as who sent it. */
  readonly fieldsOf?: (request: Request) => object
  readonly logger: Logger
}

/**
 * Answers every error with a problem. No other code turns errors into answers. An error without a translation is a bug: the log shows it in full,
 * and the answer does not. Any other problem gets one log line, within the limit of `ProblemLog`.
 */
export function problemHandler({ kinds, translate, onProblem, fieldsOf, logger }: ProblemHandlerOptions): ErrorRequestHandler {
  const refusals = new ProblemLog(logger)
  return (error: unknown, request, response, _next) => {
    const { method } = request
    const path = excerpt(request.path)
    const fields = { method, path, ...fieldsOf?.(request) }
    const isRead = method === 'GET' || method === 'HEAD'
    const known = error instanceof HttpProblem ? error : (translate?.(error, isRead) ?? expressProblem(error))
    const problem = known && kinds[known.code] ? known : internalError()
    const kind = kinds[problem.code] ?? HTTP_PROBLEMS.internal_error
    if (kind.status === 500) logger.error({ err: error, ...fields }, 'request failed on a bug')
    else refusals.tell({ ...fields, status: kind.status, code: problem.code, detail: problem.message })
    onProblem?.(request, problem.code)
    if (response.headersSent) response.destroy()
    else writeAnswer(response, problemAnswer(problem, kind, path))
  }
}

/** Comes after all routes: no route has the path of a request that gets this far. */
export const notFound: RequestHandler = () => {
  throw pathNotFound()
}

/** The problem of a path that does not exist, and of one that the caller may not use: nobody can tell them apart. */
export function pathNotFound(): HttpProblem {
  return new HttpProblem('not_found', 'No operation has this path.')
}

function internalError(): HttpProblem {
  return new HttpProblem('internal_error', 'The log has the error under this operation_id.')
}

/** Translates what Express and its router throw themselves: the error for a path that they cannot decode. */
function expressProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof URIError) return new HttpProblem('invalid_path', 'The path holds an invalid percent-encoding.', { cause: error })
  return undefined
}
