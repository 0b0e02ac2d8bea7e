import assert from 'node:assert/strict'
import Type from 'typebox'
import type { Access, Limits } from '../../http/access.ts'
import { openapiDocument, problemsOf } from '../../http/openapi.ts'
import type { ProblemKind } from '../../http/problem-kinds.ts'
import { type Route, route } from '../../http/route.ts'

function routeWith(access: Access, limits: Limits = 'none'): Route {
  return route({
    method: 'GET',
    path: `/${access}`,
    operationId: access,
    summary: access,
    access,
    limits,
    query: Type.Object({}),
    answers: { 200: { description: 'Done.', schema: Type.Null() } },
    problems: [],
    parse: () => undefined,
    execute: () => ({ status: 200, body: '' }),
  })
}

/** All problems that the routes can return, each with some words. */
function kindsOf(routes: readonly Route[]): Record<string, ProblemKind> {
  const codes = routes.flatMap(each => problemsOf(each))
  return Object.fromEntries(codes.map(code => [code, { status: 400, title: code, meaning: code, remedy: code }]))
}

interface Operation {
  readonly security?: readonly object[]
  readonly parameters?: readonly { $ref: string }[]
  readonly responses: Readonly<Record<number, { headers: object }>>
}

describe('the access of a route in the OpenAPI document', () => {
  const documentOf = (routes: readonly Route[], isOpen = false) =>
    openapiDocument({ title: '', description: '', routes, kinds: kindsOf(routes), isOpen }) as {
      paths: Record<string, { get: Operation }>
      components: { securitySchemes?: object; parameters?: object }
    }
  const KEYS = [{ bearer: [] }, { apiKey: [] }, { apiKeyInQuery: [] }]

  for (const access of ['send', 'follow', 'read', 'manage', 'superuser'] as const) {
    it(`asks for a key and takes a workspace: ${access}`, () => {
      const { paths, components } = documentOf([routeWith(access)])
      const operation = paths[`/${access}`]?.get
      assert.deepEqual(operation?.security, KEYS)
      assert.deepEqual(
        operation?.parameters?.map(({ $ref }) => $ref.replace('#/components/parameters/', '')),
        Object.keys(components.parameters ?? {}),
      )
      assert.deepEqual(Object.keys(components.securitySchemes ?? {}), ['bearer', 'apiKey', 'apiKeyInQuery'])
    })
  }

  it('asks for no key while the access is open, but names the ways to send one', () => {
    assert.deepEqual(documentOf([routeWith('read')], true).paths['/read']?.get.security, [{}, ...KEYS])
  })

  for (const [access, security] of [
    ['public', []],
    ['operator', undefined],
  ] as const) {
    it(`knows neither keys nor workspaces: ${access}`, () => {
      const { paths, components } = documentOf([routeWith(access)])
      assert.deepEqual([paths[`/${access}`]?.get.security, paths[`/${access}`]?.get.parameters], [security, undefined])
      assert.deepEqual([components.securitySchemes, components.parameters], [undefined, undefined])
      assert.ok(!problemsOf(routeWith(access, 'reads')).some(code => code === 'invalid_key' || code === 'too_many_requests'))
    })
  }

  it('names the headers and problems of limits where requests count', () => {
    const { paths } = documentOf([routeWith('read', 'reads'), routeWith('send')])
    const headersOf = (path: string): string[] => Object.keys(paths[path]?.get.responses[200]?.headers ?? {})
    assert.deepEqual(headersOf('/read'), ['X-Request-ID', 'RateLimit-Policy', 'RateLimit'])
    assert.deepEqual(headersOf('/send'), ['X-Request-ID'])
    const counts = (limits: Limits): boolean[] =>
      ['too_many_requests', 'too_many_active'].map(code => problemsOf(routeWith('read', limits)).includes(code))
    assert.deepEqual(
      [counts('reads'), counts('none')],
      [
        [true, true],
        [false, false],
      ],
    )
  })
})
