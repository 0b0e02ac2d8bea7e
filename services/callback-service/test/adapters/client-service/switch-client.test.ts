import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SwitchClient } from '../../../adapters/client-service/switch-client.ts'

describe('the client of the switches', () => {
  let server: Server
  let client: SwitchClient
  let answer: RequestListener
  let seen: { method: string | undefined; url: string | undefined; type: string | undefined; body: string }[]

  beforeEach(async () => {
    seen = []
    answer = (_request, response) => void response.end('{}')
    server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      seen.push({ method: request.method, url: request.url, type: request.headers['content-type'], body })
      answer(request, response)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    client = new SwitchClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/below/`, timeoutMs: 200 })
  })

  afterEach(async () => {
    await client.stop()
    server.close()
    server.closeAllConnections()
  })

  it('reads and changes the settings below its URL', async () => {
    await client.read()
    await client.change({ faults: { down: true } })
    assert.deepEqual(seen, [
      { method: 'GET', url: '/below/config', type: undefined, body: '' },
      { method: 'PATCH', url: '/below/config', type: 'application/merge-patch+json', body: '{"faults":{"down":true}}' },
    ])
  })

  it('follows no redirect', async () => {
    answer = (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    assert.equal((await client.read()).statusCode, 302)
    assert.equal(seen.length, 1)
  })

  const bad: [what: string, answer: RequestListener, message: RegExp][] = [
    ['an answer that never comes', () => undefined, /timeout/],
    ['an answer without an end', (_request, response) => void response.write('{'), /timeout/],
    ['an answer of more than 64 KiB', (_request, response) => void response.end('x'.repeat(70_000)), /too large|invalid_answer/],
    ['a connection that is reset', request => void request.socket.destroy(), /./],
  ]
  for (const [what, behaviour, message] of bad) {
    it(`fails on ${what}`, async () => {
      answer = behaviour
      await assert.rejects(client.read(), message)
    })
  }
})
