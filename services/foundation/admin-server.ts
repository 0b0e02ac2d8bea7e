import express from 'express'
import { adminConfigRoutes } from './admin-config.ts'
import { requireOperator } from './admin-guards.ts'
import { adminProfileRoutes } from './admin-profiles.ts'
import type { Settings } from './config.ts'
import type { Schema } from './config-schema.ts'
import { HTTP_PROBLEMS, methodNotAllowed, notFound, problemHandler } from './http-errors.ts'
import { requireValidHost } from './http-guards.ts'
import { HttpServer } from './http-server.ts'
import { httpTelemetry } from './http-telemetry.ts'
import type { Logger } from './logger.ts'
import type { Registry } from './metrics.ts'

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
}): HttpServer {
  const { registry, settings, logger } = options
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
  app.use(adminProfileRoutes(), adminConfigRoutes(settings, logger))
  app.use(notFound, problemHandler({ kinds: HTTP_PROBLEMS, logger }))
  return new HttpServer({ name: 'admin', port: options.port, host: options.host, handler: app, logger, cutsAnswers: true })
}
