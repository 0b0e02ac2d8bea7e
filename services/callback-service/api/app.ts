import express, { type Express, type RequestHandler } from 'express'
import { requireDecodablePath, requireValidHost } from '#foundation/http/guards.ts'
import { notFound, problemHandler } from '#foundation/http/problem-handler.ts'
import { type Route, routerOf } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { countCallbackProblems } from './gates/count-refusals.ts'
import { PROBLEMS } from './problem-kinds.ts'
import { toProblem } from './problems.ts'

/** The way of a request, in order: ids and span, guards, routes, and whatever went wrong. */
export function callbackApp(options: {
  readonly telemetry: RequestHandler
  readonly routes: readonly Route[]
  /** Called for each callback that is not accepted, with the code of the problem. */
  readonly onReceived: (outcome: string) => void
  readonly logger: Logger
}): Express {
  const app = express().disable('x-powered-by').disable('etag')
  app.use(options.telemetry, requireValidHost, requireDecodablePath)
  app.use(routerOf(options.routes))
  app.use(notFound)
  app.use(
    problemHandler({ kinds: PROBLEMS, translate: toProblem, onProblem: countCallbackProblems(options.onReceived), logger: options.logger }),
  )
  return app
}
