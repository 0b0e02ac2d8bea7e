import Type, { type TObject, type TSchema } from 'typebox'
import { accessComponents, accessProblemsOf, accessReferencesOf, RATE_HEADERS, rateReferencesOf, securityOf } from './access.ts'
import { problemHref } from './answer.ts'
import type { ProblemKind } from './problem-kinds.ts'
import type { DescribedAnswer, Route } from './route.ts'

export interface ApiOptions {
  readonly title: string
  readonly description: string
  readonly routes: readonly Route[]
  readonly kinds: Readonly<Record<string, ProblemKind>>
  /** Codes that every route of this port can return, in addition to those of every port. */
  readonly everywhere?: readonly string[]
  /** Whether callers may come without a key. */
  readonly isOpen?: boolean
}

/** Codes that any request can get. */
const ALWAYS = ['bad_request', 'request_timeout', 'expectation_failed', 'headers_too_large', 'internal_error']
/** Codes that a request can get if its path has parameters. */
const WITH_PARAMETERS = ['invalid_path', 'not_found']

/**
 * Makes the OpenAPI 3.1 document of a list of routes. Everything in it comes from the routes and the problem kinds.
 * @returns a JSON value, except that some of its integers are bigints
 */
export function openapiDocument({ title, description, routes, kinds, everywhere = [], isOpen = false }: ApiOptions): object {
  const operations = [...Map.groupBy(routes, ({ path }) => path)].map(([path, here]) => [
    path.replaceAll(/:(\w+)/g, '{$1}'),
    Object.fromEntries(
      here.map(route => [route.method.toLowerCase(), { ...operation(route, kinds, everywhere), ...securityOf(route, isOpen) }]),
    ),
  ])
  return {
    openapi: '3.1.0',
    info: { title, description, version: '1.0.0', license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    paths: Object.fromEntries(operations),
    components: { schemas: { Problem }, headers: { RequestId, ...RATE_HEADERS }, ...accessComponents(routes) },
  }
}

/** Lists all problem codes that a route can return. */
export function problemsOf(route: Route, everywhere: readonly string[] = []): readonly string[] {
  return [...new Set([...route.problems, ...everywhere, ...(route.params ? WITH_PARAMETERS : []), ...accessProblemsOf(route), ...ALWAYS])]
}

const RequestId = { description: 'The id of the request.', schema: Type.String() }

const Problem = Type.Object({
  type: Type.String({ format: 'uri-reference', description: 'The page that explains the code.' }),
  title: Type.String(),
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  detail: Type.String(),
  instance: Type.Optional(Type.String({ description: 'The path of the request.' })),
  code: Type.String({ description: 'Stable. Programs tell problems apart by it.' }),
  errors: Type.Optional(
    Type.Array(Type.Object({ pointer: Type.String({ format: 'json-pointer' }), code: Type.String(), detail: Type.String() })),
  ),
  operation_id: Type.String({ pattern: '^[0-9a-f]{32}$', description: 'The trace id of the request.' }),
  request_id: Type.String({ description: 'The X-Request-ID of the answer.' }),
})

function operation(route: Route, kinds: ApiOptions['kinds'], everywhere: readonly string[]): object {
  const { operationId, summary, params, query, headers, body } = route
  const byStatus = Map.groupBy(problemsOf(route, everywhere), code => kinds[code]?.status as number)
  const statuses = [...new Set([...Object.keys(route.answers).map(Number), ...byStatus.keys()])].toSorted()
  const own = [...parametersIn('path', params), ...parametersIn('query', query), ...parametersIn('header', headers)]
  const parameters = [...own, ...accessReferencesOf(route)]
  return {
    operationId,
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: body.isOptional !== true,
        content: Object.fromEntries(body.types.map(type => [type, { schema: body.schema, example: body.example }])),
      },
    }),
    responses: Object.fromEntries(
      statuses.map(status => [status, response(route, route.answers[status], byStatus.get(status) ?? [], kinds)]),
    ),
  }
}

function parametersIn(place: 'path' | 'query' | 'header', schemas: TObject | undefined): object[] {
  return Object.entries(schemas?.properties ?? {}).map(([name, schema]) => {
    const { description } = schema as { description?: string }
    return { name, in: place, required: schemas?.required?.includes(name) ?? false, ...(description && { description }), schema }
  })
}

function response(route: Route, answer: DescribedAnswer | undefined, codes: readonly string[], kinds: ApiOptions['kinds']): object {
  const problem = codes.length > 0 && {
    'application/problem+json': {
      schema: { allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { enum: codes } } }] },
      examples: Object.fromEntries(codes.map(code => [code, { value: exampleOf(code, kinds[code] as ProblemKind, route.path) }])),
    },
  }
  const titles = codes.map(code => `\`${code}\`: ${kinds[code]?.title}.`)
  return {
    description: [answer?.description, ...titles].filter(Boolean).join(' '),
    headers: { 'X-Request-ID': { $ref: '#/components/headers/RequestId' }, ...rateReferencesOf(route), ...headersIn(answer?.headers) },
    content: { ...(answer && contentOf(answer)), ...problem },
  }
}

function headersIn(headers: Readonly<Record<string, TSchema>> = {}): object {
  return Object.fromEntries(Object.entries(headers).map(([name, schema]) => [name, { schema }]))
}

function contentOf({ type = 'application/json', schema, example }: DescribedAnswer): object {
  if (schema === undefined) return {}
  const content = { schema, ...(example !== undefined && { example }) }
  return Object.fromEntries([type].flat().map(each => [each, content]))
}

function exampleOf(code: string, { title, status, meaning }: ProblemKind, path: string): object {
  return {
    type: problemHref(code),
    title,
    status,
    detail: meaning,
    instance: path,
    code,
    operation_id: '0af7651916cd43dd8448eb211c80319c',
    request_id: '5e3c3a3e-6c5f-4f5e-9d0b-2f6a0c6b1f5d',
  }
}
