import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import pLimit from 'p-limit'
import Type from 'typebox'
import { type Answer, writeAnswer } from './answer.ts'
import { type Route, route } from './route.ts'

/**
 * `GET /docs`: shows the OpenAPI document as a page with Swagger UI, to read and to try. It works without the internet: this process serves every
 * file, and the content security policy keeps the browser from contacting any other host.
 */
export function docsPageRoutes(): readonly Route[] {
  const limit = pLimit(MAX_FILES)
  return [
    route({
      ...DOCS,
      path: '/docs',
      operationId: 'getDocs',
      summary: 'Shows the OpenAPI document as a page',
      answers: { 200: { description: 'The page.', type: 'text/html', schema: Type.String() } },
      problems: [],
      parse: () => undefined,
      execute: () => fileAnswer('text/html', PAGE),
    }),
    ...FILES.map(({ name, operationId, type, read }) =>
      route({
        ...DOCS,
        path: `/docs/${name}`,
        operationId,
        summary: 'Returns a file of the page /docs',
        answers: { 200: { description: 'The file.', type, schema: Type.String() } },
        problems: [],
        parse: () => undefined,
        execute: async (_input, response) => {
          await limit(async () => sendWhole(response, fileAnswer(type, await read())))
          return undefined
        },
      }),
    ),
  ]
}

/** Files that are sent at a time. The largest has 1.7 MB: hundreds of peers that ask for it must not hold up callbacks. */
const MAX_FILES = 4

/** Resolves when the peer has the whole answer, or is gone. */
async function sendWhole(response: ServerResponse, answer: Answer): Promise<void> {
  if (response.destroyed) return
  const closed = once(response, 'close')
  writeAnswer(response, answer)
  await closed
}

const DOCS = { method: 'GET', access: 'public', limits: 'none' } as const

/** The page /docs. Its addresses are relative, so it works behind a proxy that adds a prefix to the path. */
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

/** Starts Swagger UI. Without `validatorUrl: null` it would contact a validator on the internet. */
const START = `SwaggerUIBundle({ url: 'v1/openapi.json', dom_id: '#docs', validatorUrl: null, deepLinking: true })\n`

const FILES = [
  { name: 'start.js', operationId: 'getDocsStart', type: 'text/javascript', read: async () => START },
  { name: 'swagger-ui-bundle.js', operationId: 'getDocsScript', type: 'text/javascript', read: fromPackage('swagger-ui-bundle.js') },
  { name: 'swagger-ui.css', operationId: 'getDocsStyle', type: 'text/css', read: fromPackage('swagger-ui.css') },
]

/** Reads a file of swagger-ui-dist at its first request and keeps it. All requests share one copy. */
function fromPackage(name: string): () => Promise<Buffer> {
  let content: Promise<Buffer> | undefined
  return () => {
    content ??= readFile(new URL(import.meta.resolve(`swagger-ui-dist/${name}`))).catch(error => {
      content = undefined
      throw error
    })
    return content
  }
}

/** The content security policy. It allows what Swagger UI does: its scripts set styles, and its style sheet contains the icons. */
const POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

function fileAnswer(type: string, body: string | Buffer): Answer {
  return {
    status: 200,
    type: `${type}; charset=utf-8`,
    headers: { 'Content-Security-Policy': POLICY, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'public, max-age=3600' },
    body,
  }
}
