import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { mock } from 'node:test'
import { allowedLookup } from '../../client/allowed-addresses.ts'
import { ObjectClient, type ObjectClientOptions } from '../../client/object-client.ts'
import type { FetchError } from '../../fetched-object.ts'

const LOOPBACK = { address: '127.0.0.1', family: 4 }
const METADATA = { address: '169.254.169.254', family: 4 }
const LINK_LOCAL = { address: 'fe80::1%lo', family: 6 }

describe('ObjectClient with refused addresses', () => {
  let server: Server
  let port: number
  let client: ObjectClient

  before(async () => {
    // Each answer closes its connection, so that each request looks the name up.
    server = createServer((_request, response) => response.setHeader('connection', 'close').end('{"id":7,"online":true}'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  after(() => server.close())
  afterEach(() => client.stop())

  const make = (url: string, options: Partial<ObjectClientOptions> = {}): void => {
    client = new ObjectClient({ url, timeoutMs: () => 2000, keepAliveMs: 1000, maxBaggageBytes: 0, ...options })
  }
  const failure = (): Promise<FetchError> =>
    client.fetch(7n).then(
      () => assert.fail('expected the fetch to fail'),
      (error: FetchError) => error,
    )

  /** A resolver that gives these answers, one after the other. */
  const resolver = (...answers: readonly LookupAddress[][]) => {
    const left = [...answers]
    return allowedLookup((_host, _options, callback) => callback(null, left.shift() ?? assert.fail('asked once more')))
  }

  for (const url of ['http://169.254.169.254', 'https://[fe80::1]', 'http://0xA9FEA9FE', 'http://[::ffff:a9fe:a9fe]:80']) {
    it(`sends nothing to ${url}`, async () => {
      const connect = mock.method(net, 'connect')
      make(url)
      const { reason, isRetryable, isHostTrouble } = await failure().finally(() => connect.mock.restore())
      assert.deepEqual({ reason, isRetryable, isHostTrouble }, { reason: 'address_refused', isRetryable: true, isHostTrouble: true })
      assert.equal(connect.mock.callCount(), 0)
    })
  }

  it('fails if a name leads to refused addresses only', async () => {
    make(`http://client.test:${port}`, { lookup: resolver([METADATA, LINK_LOCAL]) })
    const { reason, isRetryable, isHostTrouble } = await failure()
    assert.deepEqual({ reason, isRetryable, isHostTrouble }, { reason: 'address_refused', isRetryable: true, isHostTrouble: true })
  })

  it('connects to the allowed addresses of a name that leads to both', async () => {
    make(`http://client.test:${port}`, { lookup: resolver([METADATA, LINK_LOCAL, LOOPBACK]) })
    assert.equal((await client.fetch(7n))?.online, true)
  })

  it('checks the addresses of each connection, so that a name cannot change its mind', async () => {
    make(`http://client.test:${port}`, { lookup: resolver([LOOPBACK], [METADATA], [LOOPBACK]) })
    assert.equal((await client.fetch(7n))?.online, true)
    assert.equal((await failure()).reason, 'address_refused')
    assert.equal((await client.fetch(7n))?.online, true)
  })

  it('looks up once for each connection: the checked addresses are those it connects to', async () => {
    let lookups = 0
    const counted = allowedLookup((_host, _options, callback) => {
      lookups += 1
      callback(null, [LOOPBACK])
    })
    make(`http://client.test:${port}`, { lookup: counted })
    await client.fetch(7n)
    assert.equal(lookups, 1)
  })

  it('connects to a refused address if that is allowed', async () => {
    // Nothing but this machine answers at 0.0.0.0.
    make(`http://0.0.0.0:${port}`, { allowLinkLocal: true })
    assert.equal((await client.fetch(7n))?.online, true)
  })
})
