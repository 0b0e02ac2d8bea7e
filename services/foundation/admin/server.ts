import express, { type Request } from 'express'
import Type from 'typebox'
import type { Schema } from '../config/schema.ts'
import type { Settings } from '../config/settings.ts'
import { requireDecodablePath, requireValidHost } from '../http/guards.ts'
import { notFound, problemHandler, type Translate } from '../http/problem-handler.ts'
import { HTTP_PROBLEMS, type ProblemKind } from '../http/problem-kinds.ts'
import { type Gate, type Route, route, routerOf } from '../http/route.ts'
import { withSelfDescription } from '../http/self-description.ts'
import { HttpServer } from '../http/server.ts'
import { httpTelemetry } from '../http/telemetry.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Registry } from '../telemetry/metrics.ts'
import { adminConfigRoutes } from './config.ts'
import { requireOperator } from './guards.ts'
import { adminProfileRoutes } from './profiles.ts'

export interface AdminOptions<S extends Schema> {
  readonly port: number
  readonly host: string
  /** Host names that requests may use, separated by spaces, in addition to IP addresses and localhost. */
  readonly allowedHosts: string
  /** Maximum number of open connections (default: no bound). Each takes an open file, and the other port needs them too. */
  readonly maxConnections?: number
  readonly registry: Registry
  readonly settings: Settings<S>
  readonly logger: Logger
  /** A service's own routes for operators, its problems, and the translation of its errors into problems. */
  readonly routes?: readonly Route[]
  readonly kinds?: Readonly<Record<string, ProblemKind>>
  readonly translate?: Translate
  /** Routes of the other port that this port serves too. The document of the other port describes them. */
  readonly mounted?: readonly Route[]
  /** Sees every request that has a route, before the route does. */
  readonly gate?: Gate
  /** Whether a route may turn a request into a WebSocket (default: false). */
  readonly hasWebSockets?: boolean
  /** Paths of pages that a link of another site may lead to (default: none). */
  readonly doors?: readonly string[]
  /** Whether requests to this path get a span (default: none). */
  readonly isTraced?: (path: string) => boolean
  /** Called with the code of each problem that the port answers with. */
  readonly onProblem?: (request: Request, code: string) => void
}

/**
 * Makes the port for operators: `/metrics` (Prometheus), `/debug/pprof/*` (profiles for `go tool pprof`), `/config` (shows and changes
 * settings). It has no authentication. It listens on loopback unless `admin.host` says otherwise, and refuses pages of other sites.
 */
export function adminServer<S extends Schema>(options: AdminOptions<S>): HttpServer {
  const { logger, kinds = HTTP_PROBLEMS, translate = () => undefined, onProblem = () => undefined } = options
  const { mounted = [], gate, hasWebSockets = false, doors = [], isTraced = () => false } = options
  const app = express().disable('x-powered-by').disable('etag')
  app.use(httpTelemetry({ logger, isTraced }), requireValidHost, requireDecodablePath, requireOperator(options.allowedHosts, doors))
  app.use(routerOf([...adminRoutes(options), ...mounted], gate), notFound)
  app.use(problemHandler({ kinds, translate, onProblem, logger }))
  const { port, host, maxConnections = Number.POSITIVE_INFINITY } = options
  return new HttpServer({ name: 'admin', port, host, handler: app, logger, maxConnections, cutsAnswers: true, hasWebSockets })
}

/** All routes of the admin port. */
export function adminRoutes<S extends Schema>({
  registry,
  settings,
  logger,
  routes = [],
  kinds = HTTP_PROBLEMS,
}: Pick<AdminOptions<S>, 'registry' | 'settings' | 'logger' | 'routes' | 'kinds'>): readonly Route[] {
  return withSelfDescription({
    title: 'Answerback admin API',
    description: 'For the operators of one process. It has no authentication: keep it on loopback or in a private network.',
    routes: [metricsRoute(registry), ...adminProfileRoutes(), ...adminConfigRoutes(settings, logger), ...routes],
    kinds,
    everywhere: ['host_not_allowed', 'cross_site'],
  })
}

function metricsRoute(registry: Registry): Route {
  return route({
    method: 'GET',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'Returns the metrics of the process for Prometheus',
    access: 'operator',
    limits: 'none',
    answers: { 200: { description: 'Metrics in the text format of Prometheus.', type: 'text/plain', schema: Type.String() } },
    problems: [],
    parse: () => undefined,
    execute: async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  })
}
