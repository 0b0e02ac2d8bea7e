import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { eventually } from '../../../../test/support/eventually.ts'
import { CallbackClient } from '../../adapters/callback-client.ts'
import type { PostOutcome } from '../../domain/emitted-callback.ts'
import { CallbackReceiver } from '../callback-receiver.ts'

const callback = { idempotencyKey: '0b5a2c5e-6a4e-4d0b-8a39-5f1f5c1d9b11', objectIds: [1, 2, 2] }

describe('CallbackClient', () => {
  let receiver: CallbackReceiver
  let client: CallbackClient

  beforeEach(async () => {
    receiver = new CallbackReceiver()
    await receiver.start()
    client = new CallbackClient({ url: receiver.url, key: '', secret: '', timeoutMs: () => 2000 })
  })

  afterEach(async () => {
    await client.stop()
    await receiver.stop()
  })

  function post(signal = new AbortController().signal): Promise<PostOutcome> {
    return client.post(callback, signal)
  }

  async function useTimeout(timeoutMs: number): Promise<void> {
    await client.stop()
    client = new CallbackClient({ url: receiver.url, key: '', secret: '', timeoutMs: () => timeoutMs })
  }

  it('signs what it posts when it has a secret', async () => {
    const key = randomBytes(32)
    await client.stop()
    client = new CallbackClient({ url: receiver.url, key: '', secret: `whsec_${key.toString('base64')}`, timeoutMs: () => 2000 })
    await post()
    const [{ headers, body }] = receiver.received as [(typeof receiver.received)[0]]
    const mac = createHmac('sha256', key).update(`${callback.idempotencyKey}.${headers['webhook-timestamp']}.${body}`)
    assert.equal(headers['webhook-id'], callback.idempotencyKey)
    assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 10)
    assert.equal(headers['webhook-signature'], `v1,${mac.digest('base64')}`)
  })

  it('posts the ids with their key', async () => {
    assert.deepEqual(await post(), { kind: 'taken' })
    const [{ path, headers, body }] = receiver.received as [(typeof receiver.received)[0]]
    assert.equal(path, 'POST /callback')
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['idempotency-key'], callback.idempotencyKey)
    assert.equal(body, '{"object_ids":[1,2,2]}')
  })

  it('sends its key if it has one', async () => {
    await post()
    await client.stop()
    client = new CallbackClient({ url: receiver.url, key: 'ab_shop_k', secret: '', timeoutMs: () => 2000 })
    await post()
    assert.deepEqual(
      receiver.received.map(({ headers }) => headers['authorization']),
      [undefined, 'Bearer ab_shop_k'],
    )
  })

  it('retries a 429 with its Retry-After', async () => {
    receiver.answer = response => response.writeHead(429, { 'retry-after': '2' }).end('no')
    assert.deepEqual(await post(), { kind: 'unavailable', reason: 'http_429', retryAfterMs: 2000 })
  })

  it('keeps a path before /callback', async () => {
    await client.stop()
    client = new CallbackClient({ url: `${receiver.url}/behind/a/proxy/`, key: '', secret: '', timeoutMs: () => 2000 })
    await post()
    assert.equal(receiver.received[0]?.path, 'POST /behind/a/proxy/callback')
  })

  it('treats a 4xx and a redirect as final', async () => {
    for (const status of [400, 401, 422, 307]) {
      receiver.answer = response => response.writeHead(status, { location: '/' }).end('no')
      assert.deepEqual(await post(), { kind: 'refused', status })
    }
  })

  for (const [header, expected] of [
    ['2', 2000],
    ['soon', undefined],
    [undefined, undefined],
    [new Date(0).toUTCString(), 0],
  ] as const) {
    it(`retries a 503 with Retry-After ${header}`, async () => {
      receiver.answer = response => response.writeHead(503, header === undefined ? {} : { 'retry-after': header }).end('no')
      assert.deepEqual(await post(), { kind: 'unavailable', reason: 'http_503', retryAfterMs: expected })
    })
  }

  it('counts a reset as worth another try', async () => {
    receiver.answer = response => response.socket?.resetAndDestroy()
    assert.deepEqual(await post(), { kind: 'unavailable', reason: 'ECONNRESET' })
  })

  it('counts a closed port as worth another try', async () => {
    await receiver.stop()
    assert.deepEqual(await post(), { kind: 'unavailable', reason: 'ECONNREFUSED' })
  })

  it('gives up on an answer that never comes', async () => {
    await useTimeout(50)
    receiver.answer = () => undefined
    assert.deepEqual(await post(), { kind: 'unavailable', reason: 'timeout' })
  })

  it('goes by the status of an answer whose body does not end within the timeout', async () => {
    await useTimeout(100)
    receiver.answer = response => response.writeHead(202).write('{')
    assert.deepEqual(await post(), { kind: 'taken' })
  })

  it('ends at once when told to', async () => {
    receiver.answer = () => undefined
    const stop = new AbortController()
    const outcome = post(stop.signal)
    await eventually('the callback is sent', () => receiver.received.length === 1)
    stop.abort()
    assert.deepEqual(await outcome, { kind: 'unavailable', reason: 'AbortError' })
  })

  it('reuses connections for the next callback', async () => {
    const ports = new Set<number | undefined>()
    receiver.answer = response => {
      ports.add(response.socket?.remotePort)
      response.writeHead(202).end('x'.repeat(100_000))
    }
    for (let i = 0; i < 6; i += 1) await post()
    // A second connection opens if a callback comes before the first connection counts as free.
    assert.ok(ports.size <= 2)
  })
})
