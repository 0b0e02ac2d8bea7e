import express, { type Express, type RequestHandler } from 'express'
import { requireDecodablePath, requireValidHost } from '#foundation/http/guards.ts'
import { notFound, problemHandler } from '#foundation/http/problem-handler.ts'
import { type Route, routerOf } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { PROBLEMS } from './problem-kinds.ts'

/** Makes the app. A request passes, in this order: the switch `faults.down`, ids and span, guards, routes, and the handlers of problems. */
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

/** Resets connections while the service is down. It comes first: a service that is away makes no span, log line or metric either. */
function resetWhile(isDown: () => boolean): RequestHandler {
  return (request, _response, next) => {
    if (isDown()) request.socket.resetAndDestroy()
    else next()
  }
}
