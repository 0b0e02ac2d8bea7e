import Type from 'typebox'
import { jsonAnswer, problemHref } from './answer.ts'
import type { ProblemKind } from './problem-kinds.ts'
import { HttpProblem } from './problems.ts'
import { pathParameter } from './query.ts'
import { type Route, route } from './route.ts'

/** `GET /v1/errors` and `GET /v1/errors/:code`: say what each problem code means and what to do. The `type` of a problem is such a path. */
export function errorRoutes(kinds: Readonly<Record<string, ProblemKind>>): readonly Route[] {
  const pages = new Map(Object.entries(kinds).map(([code, kind]) => [code, pageOf(code, kind)]))
  return [
    route({
      ...ERRORS,
      path: '/v1/errors',
      operationId: 'listErrors',
      summary: 'Lists every problem code that this port can return',
      answers: { 200: { description: 'All problem codes.', schema: PageList, example: listOf([EXAMPLE]) } },
      problems: [],
      parse: () => undefined,
      execute: () => jsonAnswer(200, JSON.stringify(listOf([...pages.values()]))),
    }),
    route({
      ...ERRORS,
      path: '/v1/errors/:code',
      operationId: 'getError',
      summary: 'Explains one problem code',
      params: Type.Object({ code: Type.String({ examples: ['not_found'] }) }),
      answers: { 200: { description: 'The meaning of the code, and what to do.', schema: Page, example: EXAMPLE } },
      problems: ['problem_not_found'],
      parse: request => pathParameter(request, 'code'),
      execute(code) {
        const page = pages.get(code)
        if (!page) throw new HttpProblem('problem_not_found', 'No problem has this code.')
        return jsonAnswer(200, JSON.stringify(page))
      },
    }),
  ]
}

const ERRORS = { method: 'GET', access: 'public', limits: 'none' } as const

const Page = Type.Object(
  {
    kind: Type.Literal('ProblemKind'),
    id: Type.String(),
    href: Type.String(),
    status: Type.Integer(),
    title: Type.String(),
    meaning: Type.String(),
    remedy: Type.String(),
  },
  { additionalProperties: false },
)

const PageList = Type.Object(
  {
    kind: Type.Literal('ProblemKindList'),
    id: Type.Literal('errors'),
    href: Type.Literal('/v1/errors'),
    size: Type.Integer(),
    items: Type.Array(Page),
  },
  { additionalProperties: false },
)

const EXAMPLE = pageOf('not_found', {
  status: 404,
  title: 'There is nothing here',
  meaning: 'No operation has this path.',
  remedy: 'Look up the path in /v1/openapi.json.',
})

function pageOf(code: string, { status, title, meaning, remedy }: ProblemKind) {
  return { kind: 'ProblemKind', id: code, href: problemHref(code), status, title, meaning, remedy }
}

function listOf(items: readonly object[]) {
  return { kind: 'ProblemKindList', id: 'errors', href: '/v1/errors', size: items.length, items }
}
