import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../../test/support/eventually.ts'
import { ServiceProcess } from '../../../test/support/service-process.ts'
import { FakeAnswerback } from './fake-answerback.ts'

const fixture = (name: string): string => fileURLToPath(new URL(`../../fetching/test/client/fixtures/${name}`, import.meta.url))

describe('the agent behind a proxy', () => {
  const answerback = new FakeAnswerback()
  /** Ends TLS before the fake callback service. */
  const front = createSecureServer({ cert: readFileSync(fixture('tls-certificate.pem')), key: readFileSync(fixture('tls-key.pem')) })
  const proxy = createServer()
  const client = createServer((asked, response) => response.end(`{"id":${asked.url?.split('/').at(-1)},"online":true}`))
  const tunnels: string[] = []
  let agent: ServiceProcess

  before(async () => {
    await answerback.start()
    front.on('request', (incoming, response) => {
      const { method, url, headers } = incoming
      const forwarded = request(answerback.url + url, { method, headers }, answer => {
        response.writeHead(answer.statusCode ?? 0, answer.headers)
        answer.pipe(response)
      })
      forwarded.on('error', () => response.destroy())
      incoming.pipe(forwarded)
    })
    proxy.on('connect', (asked, socket) => {
      tunnels.push(`${asked.url} ${asked.headers['proxy-authorization']}`)
      const [host, port] = String(asked.url).split(':')
      const target = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        target.pipe(socket).pipe(target)
      })
      target.on('error', () => socket.destroy())
      socket.on('error', () => target.destroy())
    })
    for (const server of [front, proxy, client]) await once(server.listen(0, '127.0.0.1'), 'listening')
  })

  afterEach(() => agent.stop('SIGKILL'))

  after(async () => {
    await answerback.stop()
    for (const server of [front, proxy, client]) {
      server.closeAllConnections()
      server.close()
    }
  })

  const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`

  it('leases and delivers over HTTPS through it, and fetches without it', async () => {
    answerback.add({ token: 't1', ids: ['7'] })
    agent = await ServiceProcess.start('agent', {
      ANSWERBACK_URL: `https://${addressOf(front)}`,
      AGENT_KEY: 'k'.repeat(32),
      CLIENT_SERVICE_URL: `http://${addressOf(client)}`,
      HTTPS_PROXY: `http://user:word@${addressOf(proxy)}`,
      NODE_EXTRA_CA_CERTS: fixture('tls-certificate.pem'),
      ZIPKIN_URL: '',
    })
    await eventually('it finishes', () => answerback.ended.has('t1'))
    assert.deepEqual(answerback.delivered.get('t1'), ['7:true'])
    const tunnel = `${addressOf(front)} Basic ${Buffer.from('user:word').toString('base64')}`
    assert.deepEqual([...new Set(tunnels)], [tunnel])
  })

  it('notices a proxy that neither gives nor refuses a tunnel, and stops in time', async () => {
    const silent = createTcpServer(socket => socket.unref().on('error', () => socket.destroy())).unref()
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    agent = await ServiceProcess.start('agent', {
      ANSWERBACK_URL: `https://${addressOf(front)}`,
      ANSWERBACK_TIMEOUT_MS: '300',
      AGENT_KEY: 'k'.repeat(32),
      CLIENT_SERVICE_URL: `http://${addressOf(client)}`,
      HTTPS_PROXY: `http://${addressOf(silent)}`,
      ZIPKIN_URL: '',
    })
    await eventually('it says so', async () => (await (await fetch(`${agent.adminUrl}/readyz`)).text()).includes('"timeout"'))
    let tunnelsAsked = 0
    silent.on('connection', () => {
      tunnelsAsked += 1
    })
    await eventually('it asks for another tunnel', () => tunnelsAsked > 0)
    assert.equal(await agent.stop('SIGTERM'), 0)
    silent.close()
  })
})
