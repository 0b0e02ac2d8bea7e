import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkAnswers } from './support/check-answers.ts'
import { callbackPortRoutes, documentOf } from './support/routes.ts'

describe('checkAnswers', () => {
  let server: Server
  let url: string
  let answer: { status: number; type: string; body: string }
  let forget: () => void

  before(async () => {
    server = createServer((_request, response) => {
      response.writeHead(answer.status, { 'Content-Type': answer.type, 'Content-Length': Buffer.byteLength(answer.body) }).end(answer.body)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    forget = checkAnswers(url, await documentOf(callbackPortRoutes()))
  })

  after(() => {
    forget()
    server.close()
  })

  const ALIVE = { status: 200, type: 'application/json; charset=utf-8', body: '{"status":"ok"}' }

  it('lets through what is documented', async () => {
    answer = ALIVE
    assert.deepEqual(await (await fetch(`${url}/livez`)).json(), { status: 'ok' })
  })

  for (const [what, path, changes, message] of [
    ['another value', '/livez', { body: '{"status":"well"}' }, /must be equal to constant/],
    ['a member too much', '/v1/errors/not_found', { body: '{"kind":"ProblemKind","colour":"red"}' }, /must NOT have additional/],
    ['a status', '/livez', { status: 201 }, /status 201 is not documented/],
    ['a media type', '/livez', { type: 'text/plain' }, /text\/plain with 200 is not documented/],
    ['a problem without its code', '/nowhere', { status: 404, body: '{"title":"gone"}' }, /required property 'code'/],
    ['a problem that the route does not name', '/livez', problem(408, 'overloaded'), /allowed values/],
  ] as const) {
    it(`fails the test that gets ${what} that is not documented`, async () => {
      answer = { ...ALIVE, ...changes }
      await assert.rejects(fetch(`${url}${path}`), message)
    })
  }
})

function problem(status: number, code: string) {
  const body = { type: '/', title: 'x', status, detail: 'x', code, operation_id: '0'.repeat(32), request_id: 'x' }
  return { status, type: 'application/problem+json', body: JSON.stringify(body) }
}
