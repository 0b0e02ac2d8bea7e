import express, { type Router } from 'express'
import type { Schema } from '../config/schema.ts'
import type { Settings } from '../config/settings.ts'
import { requireValidHost } from '../http/guards.ts'
import { HTTP_PROBLEMS, type HttpProblem, methodNotAllowed, notFound, type ProblemKind, problemHandler } from '../http/problems.ts'
import { HttpServer } from '../http/server.ts'
import { httpTelemetry } from '../http/telemetry.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Registry } from '../telemetry/metrics.ts'
import { adminConfigRoutes } from './config.ts'
import { requireOperator } from './guards.ts'
import { adminProfileRoutes } from './profiles.ts'

/**
 * The port for operators, not for senders: `/metrics` (Prometheus), `/debug/pprof/*` (profiles for `go tool pprof`), `/config`
 * (read; change what is hot). It has no authentication, listens on loopback unless told otherwise, and answers no page of another site.
 */
export function adminServer<S extends Schema>(options: {
  readonly port: number
  readonly host: string
  /** Names under which it may be asked, separated by spaces, beside IP addresses and localhost. */
  readonly allowedHosts: string
  readonly registry: Registry
  readonly settings: Settings<S>
  readonly logger: Logger
  /** What a service has for its operators beside, and how its errors are answered. */
  readonly routes?: readonly Router[]
  readonly kinds?: Readonly<Record<string, ProblemKind>>
  readonly translate?: (error: unknown) => HttpProblem | undefined
}): HttpServer {
  const { registry, settings, logger, routes = [], kinds = HTTP_PROBLEMS, translate = () => undefined } = options
  const app = express().disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing')
  app.use(
    httpTelemetry({ logger, isTraced: () => false }),
    requireValidHost,
    requireOperator(options.allowedHosts.split(/\s+/).filter(Boolean)),
  )
  app.get('/metrics', async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics())
  })
  app.all('/metrics', methodNotAllowed('GET', 'HEAD'))
  app.use(adminProfileRoutes(), adminConfigRoutes(settings, logger), ...routes)
  app.use(notFound, problemHandler({ kinds, translate, logger }))
  return new HttpServer({ name: 'admin', port: options.port, host: options.host, handler: app, logger, cutsAnswers: true })
}
