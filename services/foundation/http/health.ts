import Type from 'typebox'
import { jsonAnswer } from './answer.ts'
import { type Route, route } from './route.ts'

/** The check of one thing that a service needs: its name, and whether and why it fails. */
export interface Check {
  readonly name: string
  /** Returns the reason for a failure, or undefined. It reads memory only, because a health check must not wait for what it checks. */
  readonly problem: () => string | undefined
  /** Returns what is worth knowing while the check holds. */
  readonly note?: () => string | undefined
  /** Whether the service can do its main work without it. If so, a failure makes the service `degraded`, and it stays ready. */
  readonly isDispensable?: () => boolean
}

/** The paths of health checks. Machines request them every few seconds. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/', '/livez', '/readyz'])

/**
 * `GET /` and `GET /readyz`: answer `{status, checks}`. 200 means that every check holds (`ok`), or that only dispensable ones fail (`degraded`).
 * 503 (`unavailable`) makes a balancer send requests elsewhere.
 * `GET /livez`: 200 as long as the process answers. It checks nothing else, because a restart would not bring a database back.
 */
export function healthRoutes(checks: readonly Check[]): readonly Route[] {
  const ready = { ...HEALTH, parse: () => undefined, execute: () => readiness(checks) } as const
  return [
    route({
      ...ready,
      path: '/',
      operationId: 'getHealth',
      summary: 'Reports whether the service does its work, and what fails',
      answers: READY,
    }),
    route({
      ...ready,
      path: '/readyz',
      operationId: 'getReadiness',
      summary: 'Reports whether this process is ready for requests',
      answers: READY,
    }),
    route({
      ...HEALTH,
      path: '/livez',
      operationId: 'getLiveness',
      summary: 'Reports that the process answers',
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
    description: 'The service does its work. `degraded`: it does so although a check fails.',
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
