import express, { type Router } from 'express'
import { adminConfigRoutes } from './admin-config.ts'
import { adminProfileRoutes } from './admin-profiles.ts'
import type { Schema, Settings } from './config.ts'
import { HTTP_PROBLEMS, notFound, type ProblemKind, problemHandler } from './http-errors.ts'
import { requireValidHost } from './http-guards.ts'
import { HttpServer } from './http-server.ts'
import type { Logger } from './logger.ts'
import type { Registry } from './metrics.ts'

/**
 * The port for operators, not for senders: `/metrics` (Prometheus), `/debug/pprof/*` (profiles for `go tool pprof`), `/config`
 * (read; change what is hot). It has no authentication and listens on loopback unless told otherwise.
 */
export function adminServer<S extends Schema>(options: {
  readonly port: number
  readonly host: string
  readonly registry: Registry
  readonly settings: Settings<S>
  readonly logger: Logger
  /** What a service adds, mounted at the root. */
  readonly routes?: Router
  readonly kinds?: Readonly<Record<string, ProblemKind>>
}): HttpServer {
  const { registry, settings, logger } = options
  const app = express().disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing')
  app.use(requireValidHost)
  app.get('/metrics', async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics())
  })
  app.use(adminProfileRoutes(), adminConfigRoutes(settings, logger))
  if (options.routes) app.use(options.routes)
  app.use(notFound, problemHandler({ kinds: { ...HTTP_PROBLEMS, ...options.kinds }, logger }))
  return new HttpServer({ name: 'admin', port: options.port, host: options.host, handler: app, logger })
}
