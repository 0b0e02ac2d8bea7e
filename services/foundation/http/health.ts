import Type from 'typebox'
import { jsonAnswer } from './answer.ts'
import { type Route, route } from './route.ts'

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
export function healthRoutes(checks: readonly Check[]): readonly Route[] {
  const ready = { ...HEALTH, parse: () => undefined, execute: () => readiness(checks) } as const
  return [
    route({
      ...ready,
      path: '/',
      operationId: 'getHealth',
      summary: 'Says whether the service does its work, and what fails',
      answers: READY,
    }),
    route({
      ...ready,
      path: '/readyz',
      operationId: 'getReadiness',
      summary: 'Says whether to send requests to this process',
      answers: READY,
    }),
    route({
      ...HEALTH,
      path: '/livez',
      operationId: 'getLiveness',
      summary: 'Says that the process answers',
      answers: {
        200: { description: 'The process answers.', schema: Type.Object({ status: Type.Literal('ok') }), example: { status: 'ok' } },
      },
      parse: () => undefined,
      execute: () => jsonAnswer(200, '{"status":"ok"}'),
    }),
  ]
}

const HEALTH = { method: 'GET', access: 'public', limits: 'none', problems: [] } as const

const Checks = Type.Record(
  Type.String(),
  Type.Union([
    Type.Object({ status: Type.Literal('ok'), note: Type.Optional(Type.String()) }, { additionalProperties: false }),
    Type.Object({ status: Type.Literal('failing'), reason: Type.String() }, { additionalProperties: false }),
  ]),
)

const READY = {
  200: {
    description: 'The service does its work: `ok`, or `degraded` where it does so without something.',
    schema: Type.Object({ status: Type.Enum(['ok', 'degraded']), checks: Checks }, { additionalProperties: false }),
    example: { status: 'ok', checks: { database: { status: 'ok' } } },
  },
  503: {
    description: 'The service cannot do its work now.',
    schema: Type.Object({ status: Type.Literal('unavailable'), checks: Checks }, { additionalProperties: false }),
    headers: { 'Retry-After': Type.String() },
    example: { status: 'unavailable', checks: { database: { status: 'failing', reason: 'connection refused' } } },
  },
} as const

function readiness(checks: readonly Check[]) {
  const results = checks.map(check => [check.name, resultOf(check.problem(), check.note?.())] as const)
  const failing = checks.filter((_, i) => results[i]?.[1].status === 'failing')
  const isReady = failing.every(check => check.isDispensable?.())
  const status = failing.length === 0 ? 'ok' : isReady ? 'degraded' : 'unavailable'
  const body = JSON.stringify({ status, checks: Object.fromEntries(results) })
  return isReady ? jsonAnswer(200, body) : jsonAnswer(503, body, { 'Retry-After': '1' })
}

function resultOf(reason: string | undefined, note: string | undefined) {
  return reason === undefined ? ({ status: 'ok', note } as const) : ({ status: 'failing', reason } as const)
}
