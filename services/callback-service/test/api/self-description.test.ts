import assert from 'node:assert/strict'
import { HTTP_PROBLEMS } from '#foundation/http/problem-kinds.ts'
import { callbackPortRoutes, documentOf } from '../../../../test/support/routes.ts'
import { PROBLEMS } from '../../api/problem-kinds.ts'
import { serveApi } from './serve-api.ts'

describe('GET /v1/openapi.json', () => {
  it('gives the document, its bounds of ids exact', async () => {
    const api = await serveApi()
    const text = await (await fetch(`${api.url}/v1/openapi.json`)).text()
    await api.stop()
    assert.match(text, /"maximum":9223372036854775807/)
    assert.deepEqual(JSON.parse(text), await documentOf(callbackPortRoutes()))
  })
})

describe('GET /v1/errors', () => {
  let api: Awaited<ReturnType<typeof serveApi>>

  before(async () => {
    api = await serveApi()
  })

  after(() => api.stop())

  it('lists every code of the service', async () => {
    const { items } = (await (await fetch(`${api.url}/v1/errors`)).json()) as { items: { id: string }[] }
    assert.deepEqual(
      items.map(({ id }) => id),
      Object.keys(PROBLEMS),
    )
  })

  it('is where the type of a problem leads', async () => {
    const { type } = (await (await fetch(`${api.url}/nowhere`)).json()) as { type: string }
    const page = await (await fetch(new URL(type, `${api.url}/nowhere`))).json()
    assert.deepEqual(page, { kind: 'ProblemKind', id: 'not_found', href: '/v1/errors/not_found', ...HTTP_PROBLEMS.not_found })
  })

  for (const code of ['nothing', 'toString', '__proto__']) {
    it(`answers 404 problem_not_found to the code ${code}`, async () => {
      const response = await fetch(`${api.url}/v1/errors/${code}`)
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [404, 'problem_not_found'])
    })
  }
})
