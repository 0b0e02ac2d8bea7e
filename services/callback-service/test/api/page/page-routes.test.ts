import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { globSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { PageFiles } from '../../../api/page/page-files.ts'
import { pageRoutes } from '../../../api/page/page-routes.ts'
import { serveAdmin } from './serve-admin.ts'

const WEB = fileURLToPath(new URL('../../../web/', import.meta.url))
const SESSION = {
  token: 'the token',
  needsKey: false,
  traceUrl: null,
  hasSwitches: false,
  senderPort: 9090,
  process: { host: 'replica-1', pid: 1, startedAt: new Date(0) },
}

describe('the files of the live page', function () {
  this.timeout(20_000)
  let admin: Awaited<ReturnType<typeof serveAdmin>>

  before(async () => {
    admin = await serveAdmin({ routes: pageRoutes(SESSION), doors: ['/'] })
  })

  after(() => admin.stop())

  const ask = (path: string, options: RequestInit = {}): Promise<Response> => fetch(`${admin.url}${path}`, options)

  it('are all there, as JavaScript without types, and so are the libraries that the import map names', async () => {
    const own = globSync('**/*.ts', { cwd: WEB }).map(path => `/page/${path}`)
    const page = await (await ask('/')).text()
    const libraries = [...page.matchAll(/"\.(\/page\/lib\/[^"]+)"/g)].map(([, path]) => path as string)
    assert.ok(own.length >= 14 && libraries.length === 5)
    for (const path of [...own, ...libraries]) {
      const response = await ask(path)
      assert.equal(response.status, 200, path)
      assert.equal(response.headers.get('content-type'), 'text/javascript; charset=utf-8', path)
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      const text = await response.text()
      if (path.endsWith('.ts')) assert.equal(stripTypeScriptTypes(text), text, 'no types are left')
    }
    for (const path of ['/page/style.css', '/page/lib/uplot.css'])
      assert.equal((await ask(path)).headers.get('content-type'), 'text/css; charset=utf-8')
  })

  it('come with a policy that allows this port alone, no frame, no text that becomes code, and the import map by its hash', async () => {
    const response = await ask('/')
    const policy = response.headers.get('content-security-policy') ?? ''
    const importMap = /<script type="importmap">([\s\S]*?)<\/script>/.exec(await response.text())?.[1] ?? ''
    assert.ok(policy.includes(`script-src 'self' 'sha256-${createHash('sha256').update(importMap).digest('base64')}'`), policy)
    for (const part of ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"])
      assert.ok(policy.includes(part), part)
    assert.doesNotMatch(policy, /unsafe|https?:|\*/)
    assert.equal(response.headers.get('x-frame-options'), 'DENY')
  })

  it('are asked for again each time, and sent only if they have changed', async () => {
    for (const path of ['/', '/page/main.ts', '/page/lib/preact.js']) {
      const first = await ask(path)
      const etag = first.headers.get('etag') ?? ''
      assert.equal(first.headers.get('cache-control'), 'no-cache')
      for (const tags of [etag, `W/${etag}`, `"other", ${etag}`]) {
        const again = await ask(path, { headers: { 'if-none-match': tags } })
        assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag])
      }
      assert.equal((await ask(path, { headers: { 'if-none-match': '"other"' } })).status, 200)
    }
  })

  it('answer HEAD without a body', async () => {
    const response = await ask('/', { method: 'HEAD' })
    assert.deepEqual([response.status, await response.text()], [200, ''])
    assert.ok(Number(response.headers.get('content-length')) > 500)
  })

  const nothing = [
    ...['/page/', '/page/nothing.ts', '/page/MAIN.ts', '/page/views', '/page/views/', '/page/tsconfig.json', '/page/package.json'],
    ...[
      '/page/..%2fservice.ts',
      '/page/%2e%2e/service.ts',
      '/page/views/..%2f..%2fservice.ts',
      '/page/..%5cservice.ts',
      '/page/main.ts%00',
    ],
    ...['/page/constructor', '/page/__proto__', '/page/toString', '/page/lib/constructor', '/page/lib/preact.mjs', '/page/a/b/c.ts'],
  ]
  for (const path of nothing) {
    it(`do not include ${path}`, async () => {
      const response = await ask(path)
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [404, 'not_found'])
    })
  }

  it('refuse a path that cannot be decoded', async () => {
    assert.equal((await ask('/page/%zz')).status, 400)
  })

  it('have a version that the session tells, and the session is never cached', async () => {
    const response = await ask('/page/session')
    assert.equal(response.headers.get('cache-control'), 'no-store')
    const { token, version } = (await response.json()) as { token: string; version: string }
    assert.deepEqual([token, version], ['the token', await new PageFiles().version()])
    assert.match(version, /^[\w-]{22}$/)
  })

  it('are read without holding up the callbacks', async () => {
    const before = performance.eventLoopUtilization()
    assert.ok(await new PageFiles().file('main.ts'))
    const { utilization } = performance.eventLoopUtilization(before)
    assert.ok(utilization < 0.6, `the main thread was busy for ${Math.round(utilization * 100)} % of the time`)
  })
})
