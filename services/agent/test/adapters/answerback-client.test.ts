import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AnswerbackClient } from '../../adapters/answerback-client.ts'
import { AnswerbackUnavailableError, LeaseLostError, RequestRefusedError } from '../../domain/answerback-errors.ts'
import type { Lease } from '../../domain/lease.ts'
import { FakeAnswerback, json } from '../fake-answerback.ts'

const LEASE: Lease = {
  location: '/v1/leases/t',
  objects: '/v1/leases/t/objects',
  objectIds: [1n],
  attempt: 1,
  durationMs: 30_000,
  trace: {},
  requestId: undefined,
}
const ASK = { callbacks: 1, objects: 10, waitSeconds: 0 }
const { signal } = new AbortController()

describe('the client of the callback service', () => {
  let answerback: FakeAnswerback
  let client: AnswerbackClient

  beforeEach(async () => {
    answerback = new FakeAnswerback()
    await answerback.start()
    client = clientOf({ url: `${answerback.url}/prefix/` })
  })

  afterEach(async () => {
    await client.stop()
    await answerback.stop()
  })

  function clientOf(options: {
    url: string
    proxy?: { url: string; except: string }
    workspace?: string
    timeoutMs?: number
  }): AnswerbackClient {
    return new AnswerbackClient({
      key: 'secret',
      agentId: 'self',
      version: '1',
      workspace: '',
      timeoutMs: 1000,
      proxy: { url: '', except: '' },
      ...options,
    })
  }

  function answer(status: number, body: string, headers: Record<string, string> = {}): void {
    answerback.intercept = (_request, response) => {
      json(response, status, body, headers)
      return true
    }
  }

  const reasonIs =
    (reason: string, retryAfterMs = 0) =>
    (error: unknown) =>
      error instanceof AnswerbackUnavailableError && error.reason === reason && error.retryAfterMs === retryAfterMs

  it('puts the path of its URL before all paths', async () => {
    answer(204, '')
    assert.deepEqual(await client.lease(ASK, signal), [])
    assert.equal(answerback.received[0]?.path, 'POST /prefix/v1/agents/self/leases')
  })

  it('names its workspace, if it has one', async () => {
    answer(204, '')
    const other = clientOf({ url: answerback.url, workspace: 'shop' })
    await other.lease(ASK, signal)
    await other.stop()
    assert.equal(answerback.received[0]?.path, 'POST /v1/agents/self/leases?workspace_id=shop')
  })

  it('tells what may pass from what is lost or refused', async () => {
    answer(410, '{"code":"lease_lost"}')
    await assert.rejects(client.deliver(LEASE, [{ id: 1n, online: true }]), LeaseLostError)
    answer(422, '{"code":"not_wanted"}')
    await assert.rejects(client.deliver(LEASE, [{ id: 1n, online: true }]), RequestRefusedError)
    for (const status of [401, 408, 429, 500, 503]) {
      answer(status, '<html>', { 'retry-after': '2' })
      await assert.rejects(client.extend(LEASE), reasonIs(`http_${status}`, 2000))
    }
  })

  it('asks for a retry after whole seconds, at most a day', async () => {
    answer(200, '{"kind":"LeaseEnd","state":"pending"}')
    for (const retryAfterMs of [0, 1, 1500, 100_000_000])
      assert.equal(await client.end(LEASE, { state: 'pending', unstored: [], isCharged: true, retryAfterMs }), 'pending')
    const bodies = answerback.received.map(({ body }) => body)
    assert.deepEqual(
      bodies,
      [0, 1, 2, 86_400].map(seconds => `{"state":"pending","unstored":[],"charged":true,"retry_after_seconds":${seconds}}`),
    )
  })

  it('extends a lease by its duration, in whole seconds, from one second to five minutes', async () => {
    answer(200, '{"kind":"Lease"}')
    for (const durationMs of [1, 30_400, 900_000]) await client.extend({ ...LEASE, durationMs })
    assert.deepEqual(
      answerback.received.map(({ body }) => body),
      [1, 30, 300].map(seconds => `{"extend_seconds":${seconds}}`),
    )
  })

  it('takes no page of a proxy for the answer to a delivery or an extension', async () => {
    answer(200, '<html>Please log in</html>')
    await assert.rejects(client.deliver(LEASE, [{ id: 1n, online: true }]), reasonIs('invalid_answer'))
    await assert.rejects(client.extend(LEASE), reasonIs('invalid_answer'))
  })

  it('asks again later whatever is wrong with its request for leases', async () => {
    answer(409, '{"code":"agent_archived"}')
    await assert.rejects(client.lease(ASK, signal), reasonIs('agent_archived'))
    answer(200, '{}')
    await assert.rejects(client.lease(ASK, signal), reasonIs('http_200'))
    answer(201, '{}')
    await assert.rejects(client.lease(ASK, signal), reasonIs('invalid_answer'))
  })

  it('follows no redirect', async () => {
    answer(307, '', { location: `${answerback.url}/elsewhere` })
    await assert.rejects(client.lease(ASK, signal), reasonIs('http_307'))
    assert.equal(answerback.received.length, 1)
  })

  it('ends an answer that is too large, too slow or cut off', async () => {
    answer(201, 'x'.repeat(8 * 1024 * 1024 + 1))
    await assert.rejects(client.lease(ASK, signal), reasonIs('answer_too_large'))
    answerback.intercept = (_request, response) => response.write('half') || true
    await assert.rejects(client.lease(ASK, signal), reasonIs('timeout'))
    answerback.intercept = (_request, response) => {
      response.writeHead(201, { 'content-length': '100' }).write('half', () => response.socket?.destroy())
      return true
    }
    await assert.rejects(client.lease(ASK, signal), reasonIs('connection'))
  })

  describe('behind a proxy', () => {
    let tunnels: IncomingMessage[]
    const proxy = createServer().on('connect', (request, socket) => {
      tunnels.push(request)
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    })

    before(async () => {
      await once(proxy.listen(0, '127.0.0.1'), 'listening')
    })

    beforeEach(() => {
      tunnels = []
    })

    after(() => {
      proxy.close()
    })

    async function ask(url: string, except = ''): Promise<void> {
      const { port } = proxy.address() as AddressInfo
      const behind = clientOf({ url, proxy: { url: `http://user:password@127.0.0.1:${port}`, except } })
      await assert.rejects(behind.lease(ASK, signal), reasonIs('connection'))
      await behind.stop()
    }

    it('asks it for a tunnel, with its password', async () => {
      await ask('https://answerback.invalid')
      assert.equal(tunnels[0]?.url, 'answerback.invalid:443')
      assert.equal(tunnels[0]?.headers['proxy-authorization'], `Basic ${Buffer.from('user:password').toString('base64')}`)
      assert.equal(tunnels[0]?.headers['authorization'], undefined)
    })

    it('goes past it to the hosts that need none', async () => {
      await ask('https://127.0.0.1:1', '127.0.0.1')
      assert.equal(tunnels.length, 0)
    })
  })
})
