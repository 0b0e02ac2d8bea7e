import express, { type Express, type RequestHandler } from 'express'
import { requireDecodablePath, requireValidHost } from '#foundation/http/guards.ts'
import { notFound, problemHandler } from '#foundation/http/problem-handler.ts'
import { type Route, routerOf } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { PROBLEMS } from './problem-kinds.ts'

/** The way of a request, in order: the switch that makes the service vanish, ids and span, guards, routes, and whatever went wrong. */
export function clientApp(options: {
  readonly isDown: () => boolean
  readonly telemetry: RequestHandler
  readonly routes: readonly Route[]
  readonly logger: Logger
}): Express {
  const app = express().disable('x-powered-by').disable('etag')
  app.use(resetWhile(options.isDown))
  app.use(options.telemetry, requireValidHost, requireDecodablePath)
  app.use(routerOf(options.routes))
  app.use(notFound)
  app.use(problemHandler({ kinds: PROBLEMS, logger: options.logger }))
  return app
}

/** First of all: what is gone leaves no span, no log line and no measure of a request either. */
function resetWhile(isDown: () => boolean): RequestHandler {
  return (request, _response, next) => {
    if (isDown()) request.socket.resetAndDestroy()
    else next()
  }
}
