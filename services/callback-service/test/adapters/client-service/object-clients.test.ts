import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { ObjectClient } from '../../../adapters/client-service/object-client.ts'
import { ObjectClients } from '../../../adapters/client-service/object-clients.ts'
import { FetchError } from '../../../domain/fetching/fetched-object.ts'

const ANSWER = '{"id":7,"online":true}'

describe('ObjectClients', () => {
  let clients: ObjectClients
  const made: string[] = []

  beforeEach(() => {
    made.length = 0
    clients = new ObjectClients({
      max: 3,
      make: url => {
        made.push(url)
        return new ObjectClient({ url, timeoutMs: () => 5000, keepAliveMs: 60_000, maxBaggageBytes: 0 })
      },
    })
  })
  afterEach(() => clients.stop())

  it('makes one client for a URL, however it is written', () => {
    const client = clients.of('http://client.test/api')
    for (const url of ['http://client.test/api', 'http://CLIENT.test:80/api/', 'http://client.test/x/../api//'])
      assert.equal(clients.of(url), client)
    assert.deepEqual(made, ['http://client.test/api'])
  })

  it('makes another client for another scheme, port or path', () => {
    const all = ['http://client.test', 'https://client.test', 'http://client.test:81'].map(url => clients.of(url))
    assert.equal(new Set(all).size, 3)
    clients.keepOnly([])
    assert.notEqual(clients.of('http://client.test/a'), clients.of('http://client.test/b'))
  })

  it('makes no more than it may, until others are no longer used', () => {
    const urls = ['http://a.test', 'http://b.test', 'http://c.test']
    for (const url of urls) clients.of(url)
    assert.throws(
      () => clients.of('http://d.test'),
      (error: FetchError) =>
        error instanceof FetchError && error.reason === 'too_many_client_services' && error.isRetryable && error.isHostTrouble,
    )
    clients.keepOnly(['http://a.test/', 'http://d.test'])
    assert.equal(clients.size, 1)
    clients.of('http://d.test')
    assert.deepEqual(made, [...urls, 'http://d.test'])
  })

  describe('with a client service', () => {
    let server: Server
    let url: string
    let held: ServerResponse[]

    beforeEach(async () => {
      held = []
      server = createServer((_request, response) => held.push(response)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    })
    afterEach(() => {
      server.closeAllConnections()
      server.close()
    })

    const failure = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => assert.fail('expected the fetch to fail'),
        (error: FetchError) => error.reason,
      )

    it('lets the requests of a retired client end, then closes its connections', async () => {
      const client = clients.of(url)
      const connected = once(server, 'connection') as Promise<[Socket]>
      const pending = client.fetch(7n)
      await once(server, 'request')
      const [socket] = await connected
      clients.keepOnly([])
      assert.equal(await failure(client.fetch(8n)), 'connection')
      const closed = once(socket, 'close')
      held[0]?.end(ANSWER)
      assert.deepEqual(await pending, { online: true })
      await closed
    })

    it('makes a new client for a URL that is used again', async () => {
      const client = clients.of(url)
      clients.keepOnly([])
      const pending = clients.of(url).fetch(7n)
      await once(server, 'request')
      held[0]?.end(ANSWER)
      assert.deepEqual(await pending, { online: true })
      assert.notEqual(clients.of(url), client)
    })

    it('keeps the clients that are used', async () => {
      const client = clients.of(url)
      const pending = client.fetch(7n)
      await once(server, 'request')
      clients.keepOnly([`${url}/`])
      held[0]?.end(ANSWER)
      await pending
      assert.equal(clients.of(url), client)
    })

    it('ends the requests of all clients when it stops, also of retired ones', async () => {
      const retired = failure(clients.of(url).fetch(7n))
      await once(server, 'request')
      clients.keepOnly([])
      const used = failure(clients.of(url).fetch(7n))
      await once(server, 'request')
      await clients.stop()
      assert.deepEqual(await Promise.all([retired, used]), ['connection', 'connection'])
    })
  })
})
