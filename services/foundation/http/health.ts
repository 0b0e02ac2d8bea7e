import { type RequestHandler, Router } from 'express'
import { methodNotAllowed } from './problems.ts'

/** One thing a service needs: what it is, whether it is there, and if not, why. */
export interface Check {
  readonly name: string
  /** Answers from memory, at once: a health question must not wait for what it asks about. @returns undefined when all is well */
  readonly problem: () => string | undefined
  /** What is worth knowing while all is well. */
  readonly note?: () => string
  /** Whether the service does its main work without it: then it is told, and the service is ready all the same. */
  readonly isDispensable?: () => boolean
}

/** The paths of health questions: asked every few seconds, by machines. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/', '/livez', '/readyz'])

/**
 * `GET /` and `GET /readyz`: `{status, checks}`, 200 when every check holds (`ok`) or what fails is dispensable (`degraded`), and 503 otherwise
 * (`unavailable`), so that a balancer sends elsewhere.
 * `GET /livez`: 200 as long as the process answers at all; restarting it would not bring a database back.
 */
export function healthRoutes(checks: readonly Check[]): Router {
  const ready: RequestHandler = (_request, response) => {
    const results = checks.map(check => [check.name, resultOf(check.problem(), check.note?.())] as const)
    const failing = checks.filter((_, i) => results[i]?.[1].status === 'failing')
    const isReady = failing.every(check => check.isDispensable?.())
    if (!isReady) response.setHeader('Retry-After', '1')
    response.status(isReady ? 200 : 503).json({
      status: failing.length === 0 ? 'ok' : isReady ? 'degraded' : 'unavailable',
      checks: Object.fromEntries(results),
    })
  }
  return Router({ caseSensitive: true, strict: true })
    .get('/', ready)
    .get('/readyz', ready)
    .get('/livez', (_request, response) => {
      response.json({ status: 'ok' })
    })
    .all(['/', '/readyz', '/livez'], methodNotAllowed('GET', 'HEAD'))
}

function resultOf(reason: string | undefined, note: string | undefined) {
  return reason === undefined ? ({ status: 'ok', note } as const) : ({ status: 'failing', reason } as const)
}
