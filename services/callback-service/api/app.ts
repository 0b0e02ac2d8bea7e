import express, { type Express, type RequestHandler, type Router } from 'express'
import { requireDecodablePath, requireValidHost } from '#foundation/http/guards.ts'
import { notFound, problemHandler } from '#foundation/http/problems.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { PROBLEMS, toProblem } from './problems.ts'

/** The way of a request, in order: ids and span, guards, routes, and whatever went wrong. */
export function callbackApp(options: {
  readonly telemetry: RequestHandler
  readonly routes: readonly Router[]
  readonly logger: Logger
}): Express {
  const app = express().disable('x-powered-by').disable('etag')
  app.use(options.telemetry, requireValidHost, requireDecodablePath)
  app.use(...options.routes)
  app.use(notFound)
  app.use(problemHandler({ kinds: PROBLEMS, translate: toProblem, logger: options.logger }))
  return app
}
