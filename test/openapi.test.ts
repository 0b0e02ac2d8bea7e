import assert from 'node:assert/strict'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Router } from 'express'
import { routerOf } from '#foundation/http/route.ts'
import { PROBLEMS } from '../services/callback-service/api/problem-kinds.ts'
import { PROBLEMS as CLIENT_PROBLEMS } from '../services/client-service/api/problem-kinds.ts'
import { adminPortRoutes, callbackPortRoutes, clientPortRoutes, documentOf } from './support/routes.ts'

interface Content {
  readonly schema: object
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly { readonly name?: string; readonly schema?: { readonly pattern?: string } }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> }
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, Content>> }>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: object
}

const PORTS = {
  'the port of senders': { routes: callbackPortRoutes(), kinds: PROBLEMS },
  'the admin port': { routes: adminPortRoutes(), kinds: PROBLEMS },
  'the client service': { routes: clientPortRoutes(), kinds: CLIENT_PROBLEMS },
} as const

for (const [port, { routes, kinds }] of Object.entries(PORTS)) {
  describe(`the OpenAPI document of ${port}`, () => {
    let document: Document
    let operations: readonly (readonly [string, Operation])[]

    before(async () => {
      document = (await documentOf(routes)) as Document
      operations = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
      )
    })

    it('is valid OpenAPI 3.1', async () => {
      const validator = new Validator()
      const { valid, errors } = await validator.validate({ ...document })
      assert.deepEqual([valid, errors, validator.version], [true, undefined, '3.1'])
    })

    it('has every route that the router has, and no other', () => {
      assert.deepEqual(operations.map(([name]) => name).toSorted(), mounted(routerOf(routes)).toSorted())
    })

    it('has no body with members that its route refuses as unknown', () => {
      const strict = routes.filter(({ problems }) => problems.includes('unknown_member'))
      const open = strict.filter(({ body }) => openObjectsIn(body?.schema).length > 0)
      assert.deepEqual(
        open.map(({ operationId }) => operationId),
        [],
      )
    })

    it('takes every 64-bit id in a path or a query', () => {
      const patterns = [...JSON.stringify(document).matchAll(/"pattern":"(\^\(0\|[^"]*)"/g)].map(
        ([, pattern]) => new RegExp(pattern as string),
      )
      const ids = ['0', '-1', '1798742931523477504', '9223372036854775807', '-9223372036854775808']
      assert.deepEqual([...new Set(patterns.flatMap(pattern => ids.filter(id => !pattern.test(id))))], [])
      assert.equal(patterns.length > 0, port !== 'the admin port')
    })

    it('says which idempotency keys and cursors a route takes', () => {
      const parameters = operations.flatMap(([name, { parameters = [] }]) => parameters.map(parameter => ({ ...parameter, of: name })))
      const vague = parameters.filter(({ name, schema }) => (name === 'Idempotency-Key' || name === 'cursor') && !schema?.pattern)
      assert.deepEqual(vague, [])
    })

    it('names every operation, each by another name', () => {
      const ids = operations.map(([, { operationId }]) => operationId)
      assert.equal(new Set(ids).size, ids.length)
      assert.ok(
        ids.every(id => /^[a-z][A-Za-z]+$/.test(id)),
        ids.join(', '),
      )
    })

    it('has every problem code that a route may answer, under its status', () => {
      for (const route of routes) {
        const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
        const { responses = {} } = document.paths[path]?.[route.method.toLowerCase()] ?? {}
        for (const code of [...route.problems, 'internal_error']) {
          const { status } = kinds[code as keyof typeof kinds]
          assert.ok(responses[status]?.content['application/problem+json']?.examples?.[code], `${route.operationId}: ${code}`)
        }
      }
    })

    it('has examples that are what their schemas say, one for each body of JSON', () => {
      const ajv = new Ajv2020({ strict: false, allErrors: true })
      addFormats.default(ajv)
      ajv.addSchema(document, 'api')
      let seen = 0
      for (const [name, { requestBody, responses }] of operations) {
        for (const bodies of [requestBody, ...Object.values(responses)]) {
          for (const [type, { schema, example, examples = {} }] of Object.entries(bodies?.content ?? {})) {
            if (!type.endsWith('json') || name.includes('/v1/openapi.json')) continue
            const values = example === undefined ? Object.values(examples).map(({ value }) => value) : [example]
            assert.ok(values.length > 0, `${name} has no example of ${type}`)
            const validate = ajv.compile(withAbsoluteRefs(schema))
            for (const value of values) assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}`)
            seen += values.length
          }
        }
      }
      assert.ok(seen > 20, `only ${seen} examples`)
    })
  })
}

/** What Express has been told, read from its own stack. */
function mounted(router: Router): string[] {
  return router.stack.flatMap(({ route }) => {
    const methods = Object.keys((route as unknown as { methods: Record<string, boolean> }).methods)
    const path = String(route?.path).replaceAll(/:(\w+)/g, '{$1}')
    return methods.filter(method => method !== '_all').map(method => `${method.toUpperCase()} ${path}`)
  })
}

function withAbsoluteRefs(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object
}

/** Finds the objects in a schema that may have members beyond those that it names. */
function openObjectsIn(schema: unknown): object[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { type, additionalProperties } = schema as { type?: unknown; additionalProperties?: unknown }
  const isOpen = type === 'object' && additionalProperties !== false
  return [...(isOpen ? [schema] : []), ...Object.values(schema).flatMap(openObjectsIn)]
}
