import type { ServerResponse } from 'node:http'
import { type Request, type RequestHandler, Router } from 'express'
import type { TObject, TSchema } from 'typebox'
import { type Answer, writeAnswer } from './answer.ts'
import { HttpProblem } from './problems.ts'
import { requireKnownParameters } from './query.ts'

/** Who may use a route. Declared only: nothing enforces it yet. */
export type Access = 'public' | 'send' | 'read' | 'manage' | 'operator'

/** Which of the limits count a request of a route. Declared only: nothing enforces it yet. */
export type Limits = 'none' | 'callbacks' | 'reads'

/** An answer of a route that is not a problem. */
export interface DescribedAnswer {
  readonly description: string
  /** What the body is. JSON where `type` is left out. */
  readonly schema: TSchema
  readonly type?: string
  /** Headers beside those of every answer. */
  readonly headers?: Readonly<Record<string, TSchema>>
  /** A whole body, where it is JSON. */
  readonly example?: unknown
}

export interface DescribedBody {
  /** The media types that are accepted; the first is the usual one. */
  readonly types: readonly [string, ...string[]]
  readonly schema: TSchema
  readonly example: unknown
}

/** What is known of a route without asking it. The router, the OpenAPI document, the table in docs/http-api.md and the tests come from it. */
export interface RouteFacts {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** As Express writes it: `/v1/callbacks/:id`. */
  readonly path: string
  readonly operationId: string
  /** One sentence without its full stop. */
  readonly summary: string
  readonly access: Access
  readonly limits: Limits
  readonly params?: TObject
  /** All query parameters there are. Where it is left out, the query is ignored. */
  readonly query?: TObject
  /** Request headers that the route reads. */
  readonly headers?: TObject
  readonly body?: DescribedBody
  /** By status. */
  readonly answers: Readonly<Record<number, DescribedAnswer>>
  /** The codes of the problems that it can answer, beside those that every route can. */
  readonly problems: readonly string[]
}

interface RouteDefinition<Input> extends RouteFacts {
  /** Reads the request. Nothing else sees it. @throws {HttpProblem} it is not acceptable */
  parse(request: Request): Input | Promise<Input>
  /**
   * Does what was asked. Nothing else touches data.
   * @param response for an answer that is not written whole, or not at all; what is returned must then be undefined
   */
  execute(input: Input, response: ServerResponse): Promise<Answer | undefined> | Answer | undefined
}

export interface Route extends RouteFacts {
  readonly answer: (request: Request, response: ServerResponse) => Promise<Answer | undefined>
}

/** One route as one value. */
export function route<Input>({ parse, execute, ...facts }: RouteDefinition<Input>): Route {
  return { ...facts, answer: async (request, response) => execute(await parse(request), response) }
}

/**
 * The router of a list of routes. Paths are case-sensitive, without a trailing slash. A GET route answers HEAD too; another method gets 405
 * with Allow.
 */
export function routerOf(routes: readonly Route[]): Router {
  const router = Router({ caseSensitive: true, strict: true })
  for (const [path, here] of Map.groupBy(routes, ({ path }) => path)) {
    for (const each of here) router[METHODS[each.method]](path, handlerOf(each))
    router.all(path, methodNotAllowed(here.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))))
  }
  return router
}

const METHODS = { GET: 'get', POST: 'post', PATCH: 'patch', DELETE: 'delete' } as const

function handlerOf({ query, answer }: Route): RequestHandler {
  const known = query && new Set(Object.keys(query.properties))
  return async (request, response) => {
    if (known) requireKnownParameters(request, known)
    const written = await answer(request, response)
    if (written) writeAnswer(response, written)
  }
}

function methodNotAllowed(allowed: readonly string[]): RequestHandler {
  const list = allowed.join(', ')
  return () => {
    throw new HttpProblem('method_not_allowed', `Allowed here: ${list}.`, { headers: { Allow: list } })
  }
}
