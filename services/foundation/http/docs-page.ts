import { readFile } from 'node:fs/promises'
import Type from 'typebox'
import type { Answer } from './answer.ts'
import { type Route, route } from './route.ts'

/**
 * `GET /docs`: the OpenAPI document as a page to read and to try, by Swagger UI. It works without the internet: every file comes from this process,
 * and the browser is told to ask nobody else.
 */
export function docsPageRoutes(): readonly Route[] {
  return [
    route({
      ...DOCS,
      path: '/docs',
      operationId: 'getDocs',
      summary: 'Shows the OpenAPI document as a page',
      answers: { 200: { description: 'A page for people.', type: 'text/html', schema: Type.String() } },
      problems: [],
      parse: () => undefined,
      execute: () => fileAnswer('text/html', PAGE),
    }),
    ...FILES.map(({ name, operationId, type, read }) =>
      route({
        ...DOCS,
        path: `/docs/${name}`,
        operationId,
        summary: 'Gives a file of that page',
        answers: { 200: { description: 'The file.', type, schema: Type.String() } },
        problems: [],
        parse: () => undefined,
        execute: async () => fileAnswer(type, await read()),
      }),
    ),
  ]
}

const DOCS = { method: 'GET', access: 'public', limits: 'none' } as const

/** Relative addresses: the page works behind a proxy that puts something before the path. */
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Answerback API</title>
    <link rel="stylesheet" href="docs/swagger-ui.css">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <div id="docs"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`

/** Swagger UI would ask a validator on the internet whether the document is valid. */
const START = `SwaggerUIBundle({ url: 'v1/openapi.json', dom_id: '#docs', validatorUrl: null, deepLinking: true })\n`

const FILES = [
  { name: 'start.js', operationId: 'getDocsStart', type: 'text/javascript', read: async () => START },
  { name: 'swagger-ui-bundle.js', operationId: 'getDocsScript', type: 'text/javascript', read: fromPackage('swagger-ui-bundle.js') },
  { name: 'swagger-ui.css', operationId: 'getDocsStyle', type: 'text/css', read: fromPackage('swagger-ui.css') },
]

/** Reads a file of swagger-ui-dist when it is first asked for, and keeps it: all askers share one copy. */
function fromPackage(name: string): () => Promise<Buffer> {
  let content: Promise<Buffer> | undefined
  return () => {
    content ??= readFile(new URL(import.meta.resolve(`swagger-ui-dist/${name}`)))
    return content
  }
}

/** Swagger UI sets styles by script, which the policy allows, and has its icons in the style sheet. */
const POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

function fileAnswer(type: string, body: string | Buffer): Answer {
  return {
    status: 200,
    type: `${type}; charset=utf-8`,
    headers: { 'Content-Security-Policy': POLICY, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'public, max-age=3600' },
    body,
  }
}
