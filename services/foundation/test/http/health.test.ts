import assert from 'node:assert/strict'
import express from 'express'
import { pino } from 'pino'
import { type Check, HEALTH_PATHS, healthRoutes } from '../../http/health.ts'
import { notFound, problemHandler } from '../../http/problem-handler.ts'
import { HTTP_PROBLEMS } from '../../http/problem-kinds.ts'
import { routerOf } from '../../http/route.ts'
import { HttpServer } from '../../http/server.ts'

describe('healthRoutes', () => {
  let server: HttpServer
  const problems: { database?: string | undefined; worker?: string | undefined } = {}
  const checks: Check[] = [
    { name: 'database', problem: () => problems.database },
    { name: 'worker', problem: () => problems.worker, note: () => 'three at work', isDispensable: () => problems.worker === 'asleep' },
  ]

  before(async () => {
    const logger = pino({ level: 'silent' })
    const app = express().use(routerOf(healthRoutes(checks)), notFound, problemHandler({ kinds: HTTP_PROBLEMS, logger }))
    server = new HttpServer({ name: 'test', port: 0, host: '127.0.0.1', handler: app, logger })
    await server.start()
  })

  beforeEach(() => {
    Object.assign(problems, { database: undefined, worker: undefined })
  })

  after(() => server.stop())

  const ask = (path: string, method = 'GET'): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`, { method })

  for (const path of ['/', '/readyz']) {
    it(`answers 200 to ${path} when every check holds`, async () => {
      const response = await ask(path)
      assert.equal(response.status, 200)
      assert.deepEqual(await response.json(), {
        status: 'ok',
        checks: { database: { status: 'ok' }, worker: { status: 'ok', note: 'three at work' } },
      })
    })

    it(`answers 503 to ${path} when one does not, and says which and why`, async () => {
      problems.database = 'connection refused'
      const response = await ask(path)
      assert.equal(response.status, 503)
      assert.deepEqual(await response.json(), {
        status: 'unavailable',
        checks: { database: { status: 'failing', reason: 'connection refused' }, worker: { status: 'ok', note: 'three at work' } },
      })
    })

    it(`answers 200 to ${path} when what fails is dispensable, and says so`, async () => {
      problems.worker = 'asleep'
      const response = await ask(path)
      assert.equal(response.status, 200)
      assert.deepEqual(await response.json(), {
        status: 'degraded',
        checks: { database: { status: 'ok' }, worker: { status: 'failing', reason: 'asleep' } },
      })
      problems.database = 'connection refused'
      assert.equal((await ask(path)).status, 503)
    })

    it(`answers HEAD to ${path} with the status alone`, async () => {
      problems.worker = 'gone'
      const response = await ask(path, 'HEAD')
      assert.deepEqual([response.status, await response.text()], [503, ''])
    })
  }

  it('answers 200 to /livez whatever the checks say: a restart would not help', async () => {
    problems.database = 'connection refused'
    const response = await ask('/livez')
    assert.deepEqual([response.status, await response.json()], [200, { status: 'ok' }])
  })

  it('answers at its paths, and at no others that look like them', async () => {
    assert.deepEqual([...HEALTH_PATHS], ['/', '/livez', '/readyz'])
    for (const path of HEALTH_PATHS) assert.equal((await ask(path)).status, 200)
    for (const path of ['/READYZ', '/readyz/']) assert.equal((await ask(path)).status, 404)
  })

  it('answers 405 to another method, and says which are allowed', async () => {
    for (const path of ['/', '/readyz', '/livez']) {
      const response = await ask(path, 'POST')
      assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'])
    }
  })
})
