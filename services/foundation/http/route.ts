import type { ServerResponse } from 'node:http'
import { type Request, type RequestHandler, Router } from 'express'
import type { TObject, TSchema } from 'typebox'
import { type Access, accessParametersOf, type Limits } from './access.ts'
import { type Answer, writeAnswer } from './answer.ts'
import { HttpProblem } from './problems.ts'
import { requireKnownParameters } from './query.ts'

/** Runs before `parse` of a route. @throws {HttpProblem} the request must not go on */
export type Gate = (request: Request, response: ServerResponse, route: RouteFacts) => Promise<void> | void

/** The description of one answer of a route that is not a problem. */
export interface DescribedAnswer {
  readonly description: string
  /** Schema of the body. The body is JSON unless `type` says otherwise. An answer without a body has no schema. */
  readonly schema?: TSchema
  /** One media type, or several of which it has one. */
  readonly type?: string | readonly string[]
  /** Headers of this answer, in addition to those of every answer. */
  readonly headers?: Readonly<Record<string, TSchema>>
  /** A complete example of a JSON body. */
  readonly example?: unknown
}

export interface DescribedBody {
  /** The media types that the route accepts. The first is the usual one. */
  readonly types: readonly [string, ...string[]]
  readonly schema: TSchema
  readonly example: unknown
  /** Whether a request may come without a body. */
  readonly isOptional?: boolean
}

/** The description of a route. The router, the OpenAPI document, the tables in docs/http-api.md and the tests use it. */
export interface RouteFacts {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path of the route, as Express writes it: `/v1/callbacks/:id`. */
  readonly path: string
  readonly operationId: string
  /** One sentence, without its full stop. */
  readonly summary: string
  readonly access: Access
  readonly limits: Limits
  readonly params?: TObject
  /** All query parameters of the route. Others get 400. Without this schema, the route ignores the query. */
  readonly query?: TObject
  /** Request headers that the route reads. */
  readonly headers?: TObject
  readonly body?: DescribedBody
  /** The answers by status, without problems. */
  readonly answers: Readonly<Record<number, DescribedAnswer>>
  /** Codes of the problems that the route can return, in addition to those of every route. */
  readonly problems: readonly string[]
}

interface RouteDefinition<Input> extends RouteFacts {
  /** Reads the request. No other code of the route sees it. @throws {HttpProblem} the request is not acceptable */
  parse(request: Request): Input | Promise<Input>
  /**
   * Does the work. No other code of the route touches data.
   * @param response lets the route watch the connection, or answer by itself and return undefined
   */
  execute(input: Input, response: ServerResponse): Promise<Answer | undefined> | Answer | undefined
}

export interface Route extends RouteFacts {
  readonly answer: (request: Request, response: ServerResponse) => Promise<Answer | undefined>
}

/** Makes one route from its description, `parse` and `execute`. */
export function route<Input>({ parse, execute, ...facts }: RouteDefinition<Input>): Route {
  return { ...facts, answer: async (request, response) => execute(await parse(request), response) }
}

/**
 * Makes a router from a list of routes. Paths are case-sensitive and have no trailing slash. A GET route also answers HEAD. Any other method
 * gets 405 with `Allow`.
 * @param gate sees every request that has a route, before the route does
 */
export function routerOf(routes: readonly Route[], gate?: Gate): Router {
  const router = Router({ caseSensitive: true, strict: true })
  for (const [path, here] of Map.groupBy(routes, ({ path }) => path)) {
    for (const each of here) router[METHODS[each.method]](path, handlerOf(each, gate))
    router.all(path, methodNotAllowed(here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))))
  }
  return router
}

const METHODS = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'delete' } as const

function handlerOf(route: Route, gate: Gate | undefined): RequestHandler {
  const { query, access, answer } = route
  const known = query && new Set([...Object.keys(query.properties), ...accessParametersOf(access)])
  return async (request, response) => {
    const opening = gate?.(request, response, route)
    if (opening) await opening
    if (known) requireKnownParameters(request, known)
    const written = await answer(request, response)
    if (written) writeAnswer(response, written)
  }
}

function methodNotAllowed(allowed: readonly string[]): RequestHandler {
  const list = allowed.join(', ')
  return () => {
    throw new HttpProblem('method_not_allowed', `This path allows ${list}.`, { headers: { Allow: list } })
  }
}
