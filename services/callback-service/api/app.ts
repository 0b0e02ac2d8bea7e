import express, { type Express, type RequestHandler } from 'express'
import { requireDecodablePath, requireValidHost } from '#foundation/http/guards.ts'
import { notFound, problemHandler } from '#foundation/http/problem-handler.ts'
import { type Gate, type Route, routerOf } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { knownCallerOf } from './gates/caller-of.ts'
import { countCallbackProblems } from './gates/count-refusals.ts'
import { PROBLEMS } from './problem-kinds.ts'
import { toProblem } from './problems.ts'

/** Makes the app. A request passes, in this order: ids and span, guards, gate (keys, limits), routes, and the handlers of problems. */
export function callbackApp(options: {
  readonly telemetry: RequestHandler
  readonly routes: readonly Route[]
  /** Decides who may use which route, and how often. */
  readonly gate: Gate
  /** Called for each callback that the service does not accept, with the code of the problem and the workspace. */
  readonly onReceived: (outcome: string, workspace: string) => void
  readonly logger: Logger
}): Express {
  const app = express().disable('x-powered-by').disable('etag')
  app.use(options.telemetry, requireValidHost, requireDecodablePath)
  app.use(routerOf(options.routes, options.gate))
  app.use(notFound)
  app.use(
    problemHandler({
      kinds: PROBLEMS,
      translate: toProblem,
      onProblem: countCallbackProblems(options.onReceived),
      fieldsOf: request => ({ workspace: knownCallerOf(request)?.workspace.name }),
      logger: options.logger,
    }),
  )
  return app
}
