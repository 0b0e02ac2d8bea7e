import Type from 'typebox'
import { exactJson, jsonAnswer } from './answer.ts'
import { docsPageRoutes } from './docs-page.ts'
import { errorRoutes } from './errors.ts'
import { type ApiOptions, openapiDocument } from './openapi.ts'
import { type Route, route } from './route.ts'

/** Adds the routes by which a port describes itself: its OpenAPI document, a page that shows the document, and its problem codes. */
export function withSelfDescription(options: ApiOptions): readonly Route[] {
  let text: string | undefined
  const all: readonly Route[] = [
    ...options.routes,
    ...errorRoutes(options.kinds),
    ...docsPageRoutes(),
    route({
      method: 'GET',
      path: '/v1/openapi.json',
      operationId: 'getOpenapi',
      summary: 'Returns the OpenAPI document of this port',
      access: 'public',
      limits: 'none',
      answers: { 200: { description: 'The OpenAPI document of this port.', schema: Type.Object({ openapi: Type.Literal('3.1.0') }) } },
      problems: [],
      parse: () => undefined,
      execute() {
        text ??= exactJson(openapiDocument({ ...options, routes: all }))
        return jsonAnswer(200, text)
      },
    }),
  ]
  return all
}
