import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import type { Logger } from '../telemetry/logger.ts'
import { problemAnswer, writeAnswer } from './answer.ts'
import { HTTP_PROBLEMS, type ProblemKind } from './problem-kinds.ts'
import { ProblemLog } from './problem-log.ts'
import { excerpt, HttpProblem } from './problems.ts'

/** What an error of a service's own rooms means to a caller; undefined for a bug. A caller that only read may ask again without a thought. */
export type Translate = (error: unknown, isRead: boolean) => HttpProblem | undefined

export interface ProblemHandlerOptions {
  readonly kinds: Readonly<Record<string, ProblemKind>>
  readonly translate?: Translate
  /** Told of each problem that is answered. */
  readonly onProblem?: (request: Request, code: string) => void
  readonly logger: Logger
}

/**
 * Writes every error as a problem: the one place where errors become answers. What nobody can translate is a bug: the log has it whole, the answer
 * says nothing of it. Of the others the log has a line each, as long as they are few.
 */
export function problemHandler({ kinds, translate, onProblem, logger }: ProblemHandlerOptions): ErrorRequestHandler {
  const refusals = new ProblemLog(logger)
  return (error: unknown, request, response, _next) => {
    const { method } = request
    const path = excerpt(request.path)
    const isRead = method === 'GET' || method === 'HEAD'
    const known = error instanceof HttpProblem ? error : (translate?.(error, isRead) ?? expressProblem(error))
    const problem = known && kinds[known.code] ? known : internalError()
    const kind = kinds[problem.code] ?? HTTP_PROBLEMS.internal_error
    if (kind.status === 500) logger.error({ err: error, method, path }, 'request failed on a bug')
    else refusals.tell({ method, path, status: kind.status, code: problem.code, detail: problem.message })
    onProblem?.(request, problem.code)
    if (response.headersSent) response.destroy()
    else writeAnswer(response, problemAnswer(problem, kind, path))
  }
}

/** The last route: whatever came this far does not exist. */
export const notFound: RequestHandler = () => {
  throw new HttpProblem('not_found', 'No resource has this path.')
}

function internalError(): HttpProblem {
  return new HttpProblem('internal_error', 'The log has more under this operation_id.')
}

/** What Express and its router throw by themselves: an undecodable path. */
function expressProblem(error: unknown): HttpProblem | undefined {
  if (error instanceof URIError) return new HttpProblem('invalid_path', 'The path holds an invalid percent-encoding.', { cause: error })
  return undefined
}
