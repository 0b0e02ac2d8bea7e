import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Request } from 'express'
import { docsPageRoutes } from '#foundation/http/docs-page.ts'
import type { Route } from '#foundation/http/route.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { serveApi } from './serve-api.ts'

describe('GET /docs', () => {
  let api: Awaited<ReturnType<typeof serveApi>>

  before(async () => {
    api = await serveApi()
  })

  after(() => api.stop())

  it('gives a page whose files all come from here, each of its type', async () => {
    const page = await fetch(`${api.url}/docs`)
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    const names = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name]) => name as string)
    const files = names.filter(name => name !== 'data:,')
    assert.deepEqual(files, ['docs/swagger-ui.css', 'docs/swagger-ui-bundle.js', 'docs/start.js'])
    for (const name of files) {
      const file = await fetch(new URL(name, page.url))
      const type = name.endsWith('.css') ? 'text/css' : 'text/javascript'
      assert.deepEqual([file.status, file.headers.get('content-type')], [200, `${type}; charset=utf-8`], name)
      assert.match(file.headers.get('cache-control') ?? '', /max-age=\d{3}/)
      assert.ok((await file.arrayBuffer()).byteLength > 50, name)
    }
  })

  it('forbids the browser to ask anybody else, and asks for the document here', async () => {
    const page = await fetch(`${api.url}/docs`)
    const policy = page.headers.get('content-security-policy') ?? ''
    assert.match(policy, /^default-src 'self'; /)
    assert.ok(!/https?:|\*|unsafe/.test(policy), policy)
    const start = await (await fetch(`${api.url}/docs/start.js`)).text()
    const [, document = ''] = /url: '([^']+)'/.exec(start) ?? []
    assert.equal((await fetch(new URL(document, page.url))).status, 200)
    assert.match(start, /validatorUrl: null/)
  })

  it('sends a file to four peers at a time, and passes over those who are gone', async () => {
    const script = docsPageRoutes().find(({ operationId }) => operationId === 'getDocsScript') as Route
    const written: number[] = []
    const responses = Array.from({ length: 7 }, (_, n) =>
      Object.assign(new EventEmitter(), {
        destroyed: n === 4,
        writeHead() {
          written.push(n)
          return { end: () => undefined }
        },
      }),
    )
    const answers = responses.map(response => script.answer({} as Request, response as unknown as ServerResponse))
    await eventually('four are written', () => written.length === 4)
    await new Promise(setImmediate)
    assert.deepEqual(written, [0, 1, 2, 3])
    responses[0]?.emit('close')
    await answers[0]
    await eventually('another is written', () => written.length === 5)
    assert.deepEqual(written, [0, 1, 2, 3, 5])
  })

  for (const path of ['/docs/', '/docs/swagger-ui.js', '/docs/..%2fpackage.json', '/docs/package.json']) {
    it(`has nothing else at ${path}`, async () => {
      assert.equal((await fetch(`${api.url}${path}`)).status, 404)
    })
  }
})
