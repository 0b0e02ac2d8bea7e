import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { eventually } from '../../../../test/support/eventually.ts'
import { SenderSignature } from '../../adapters/sender-signature.ts'
import type { Inbox } from '../../api/callbacks/post-callback.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../../domain/accepting/accept-errors.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

type Api = Awaited<ReturnType<typeof serveApi>>

interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly instance: string
  readonly code: string
  readonly errors?: { pointer: string; code: string }[]
  readonly operation_id: string
  readonly request_id: string
}

describe('POST /callback', () => {
  let api: Api

  afterEach(() => api.stop())

  function post(
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = { 'content-type': 'application/json' },
  ): Promise<Response> {
    return fetch(`${api.url}/callback`, { method: 'POST', body, headers })
  }

  async function problemOf(response: Response, status: number, code: string): Promise<Problem> {
    const problem = (await response.json()) as Problem
    assert.equal(response.headers.get('content-type'), 'application/problem+json')
    assert.deepEqual([response.status, problem.status, problem.code], [status, status, code])
    assert.equal(problem.type, `/v1/errors/${code}`)
    assert.equal(problem.request_id, response.headers.get('x-request-id'))
    assert.ok(problem.title.length > 0 && problem.detail.length > 0)
    return problem
  }

  it('answers 202 with what was accepted and where it is found', async () => {
    api = await serveApi()
    const response = await post('{"object_ids":[1,2,9007199254740993,2]}')
    assert.equal(response.status, 202)
    assert.equal(response.headers.get('location'), `/v1/callbacks/${ACCEPTED_ID}`)
    assert.deepEqual(await response.json(), {
      kind: 'Callback',
      id: ACCEPTED_ID,
      href: `/v1/callbacks/${ACCEPTED_ID}`,
      state: 'pending',
      object_count: 3,
      received_at: '1970-01-01T00:00:00.000Z',
      durability: 'database',
      backlog: null,
      eta_ms: null,
    })
    assert.deepEqual(api.accepted, [[1n, 2n, 9007199254740993n]])
    assert.deepEqual(api.outcomes, ['accepted'])
  })

  for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'application/cloudevents+json']) {
    it(`takes ${type}`, async () => {
      api = await serveApi()
      assert.equal((await post('{"object_ids":[1]}', { 'content-type': type })).status, 202)
    })
  }

  for (const [body, status, code, pointer] of [
    ['', 400, 'empty_body', undefined],
    ['{"object_ids":[1', 400, 'invalid_json', undefined],
    ['{"object_ids":[1],"object_ids":[2]}', 400, 'duplicate_member', '/object_ids'],
    [`${'['.repeat(50)}${']'.repeat(50)}`, 400, 'too_deep', undefined],
    [`{"${'n'.repeat(32_000)}":1,"${'n'.repeat(32_000)}":2}`, 400, 'duplicate_member', `/${'n'.repeat(62)}…`],
    ['[1]', 422, 'not_an_object', ''],
    ['{}', 422, 'missing_member', '/object_ids'],
    ['{"object_ids":[0,1,2,"3"]}', 422, 'wrong_type', '/object_ids/3'],
    ['{"object_ids":[1.5]}', 422, 'not_an_integer', '/object_ids/0'],
    ['{"object_ids":[1e400]}', 422, 'out_of_range', '/object_ids/0'],
    [`{"object_ids":[${'1,'.repeat(1000)}1]}`, 422, 'too_many_ids', '/object_ids'],
  ] as const) {
    it(`answers ${status} ${code} to ${body.slice(0, 40)}, and stores nothing`, async () => {
      api = await serveApi()
      const problem = await problemOf(await post(body), status, code)
      assert.equal(problem.errors?.[0]?.pointer, pointer)
      assert.equal(problem.instance, '/callback')
      assert.deepEqual(api.accepted, [])
      assert.deepEqual(api.outcomes, [code])
    })
  }

  it('answers 400 invalid_encoding to bytes that are not UTF-8', async () => {
    api = await serveApi()
    await problemOf(await post(Uint8Array.from([0x22, 0xff, 0x22])), 400, 'invalid_encoding')
  })

  for (const [what, type] of [
    ['a form', 'application/x-www-form-urlencoded'],
    ['multipart', 'multipart/form-data; boundary=x'],
    ['text', 'text/plain'],
    ['UTF-16', 'application/json; charset=utf-16'],
    ['a type that is none', 'json'],
  ] as const) {
    it(`answers 415 with Accept-Post to ${what}`, async () => {
      api = await serveApi()
      const response = await post('{"object_ids":[1]}', { 'content-type': type })
      assert.equal(response.headers.get('accept-post'), 'application/json')
      await problemOf(response, 415, 'unsupported_media_type')
    })
  }

  it('answers 415 with Accept-Post where there is no Content-Type', async () => {
    api = await serveApi()
    const response = await fetch(`${api.url}/callback`, { method: 'POST', body: Buffer.from('{"object_ids":[1]}') })
    assert.equal(response.headers.get('accept-post'), 'application/json')
    await problemOf(response, 415, 'unsupported_media_type')
  })

  for (const encoding of ['gzip', 'br', 'gzip, br']) {
    it(`answers 415 to Content-Encoding ${encoding}`, async () => {
      api = await serveApi()
      await problemOf(await post('x', { 'content-type': 'application/json', 'content-encoding': encoding }), 415, 'unsupported_encoding')
    })
  }

  it('answers 413 to a body over the limit, announced or not, and the next request works', async () => {
    api = await serveApi()
    const large = `{"object_ids":[1],"x":"${'x'.repeat(65_536)}"}`
    await problemOf(await post(large), 413, 'body_too_large')
    const stream = new Blob([large]).stream()
    const chunked = await fetch(`${api.url}/callback`, {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit)
    await problemOf(chunked, 413, 'body_too_large')
    assert.equal((await post('{"object_ids":[1]}')).status, 202)
  })

  it('takes a body of exactly the limit', async () => {
    api = await serveApi({ maxBodyBytes: 18 })
    assert.equal((await post('{"object_ids":[1]}')).status, 202)
    assert.equal((await post('{"object_ids":[12]}')).status, 413)
  })

  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    it(`answers 405 with Allow to ${method}`, async () => {
      api = await serveApi()
      const response = await fetch(`${api.url}/callback`, { method })
      assert.equal(response.headers.get('allow'), 'POST')
      await problemOf(response, 405, 'method_not_allowed')
    })
  }

  it('takes the idempotency key from its header, or from webhook-id', async () => {
    const keys: (string | undefined)[] = []
    api = await serveApi({
      inbox: {
        waitSeconds: 0,
        accept: async ({ idempotencyKey }) => {
          keys.push(idempotencyKey)
          return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: keys.length > 1, durability: 'database', forecast: undefined }
        },
      },
    })
    const first = await post('{"object_ids":[1]}', { 'content-type': 'application/json', 'idempotency-key': '"k1"' })
    const second = await post('{"object_ids":[1]}', { 'content-type': 'application/json', 'webhook-id': 'k1' })
    assert.deepEqual(keys, ['k1', 'k1'])
    assert.deepEqual(await second.json(), await first.json())
    assert.deepEqual([first.headers.get('idempotency-replayed'), second.headers.get('idempotency-replayed')], [null, 'true'])
    assert.deepEqual(api.outcomes, ['accepted', 'replayed'])
  })

  it('answers 401 to a callback that is not signed by a sender we know, and stores nothing', async () => {
    const key = randomBytes(32)
    api = await serveApi({ signature: new SenderSignature([`whsec_${key.toString('base64')}`]) })
    const body = '{"object_ids":[1]}'
    const at = Math.floor(Date.now() / 1000)
    const mac = createHmac('sha256', key).update(`msg_1.${at}.${body}`).digest('base64')
    const headers = {
      'content-type': 'application/json',
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(at),
      'webhook-signature': `v1,${mac}`,
    }
    await problemOf(await post(body), 401, 'invalid_signature')
    const forged = await post('{"object_ids":[2]}', headers)
    assert.equal(forged.headers.get('www-authenticate'), 'StandardWebhooks')
    await problemOf(forged, 401, 'invalid_signature')
    assert.deepEqual(api.accepted, [])
    assert.equal((await post(body, headers)).status, 202)
    assert.deepEqual(api.accepted, [[1n]])
  })

  describe('signed', () => {
    const key = randomBytes(32)
    const signature = new SenderSignature([key.toString('base64')])
    const body = '{"object_ids":[1]}'

    function signed(text: string, headers: Record<string, string> = {}): Record<string, string> {
      const at = Math.floor(Date.now() / 1000)
      const mac = createHmac('sha256', key).update(`msg_1.${at}.${text}`).digest('base64')
      return {
        'content-type': 'application/json',
        'webhook-id': 'msg_1',
        'webhook-timestamp': String(at),
        'webhook-signature': `v1,${mac}`,
        ...headers,
      }
    }

    it('has the signed id for its key, whatever unsigned key comes with it', async () => {
      const keys: (string | undefined)[] = []
      const accept: Inbox['accept'] = async ({ idempotencyKey }) => {
        keys.push(idempotencyKey)
        return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'database', forecast: undefined }
      }
      api = await serveApi({ signature, inbox: { waitSeconds: 0, accept } })
      assert.equal((await post(body, signed(body, { 'idempotency-key': 'unsigned' }))).status, 202)
      assert.deepEqual(keys, ['msg_1'])
    })

    it('has the signed id for its key, with the names of Svix too', async () => {
      const keys: (string | undefined)[] = []
      const accept: Inbox['accept'] = async ({ idempotencyKey }) => {
        keys.push(idempotencyKey)
        return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'database', forecast: undefined }
      }
      api = await serveApi({ signature, inbox: { waitSeconds: 0, accept } })
      const inSvix = Object.fromEntries(Object.entries(signed(body)).map(([name, value]) => [name.replace('webhook-', 'svix-'), value]))
      assert.equal((await post(body, { ...inSvix, 'idempotency-key': 'unsigned' })).status, 202)
      await problemOf(await post(body, { ...inSvix, 'webhook-id': 'another' }), 401, 'invalid_signature')
      assert.deepEqual(keys, ['msg_1'])
    })

    for (const [what, headers] of [
      ['another media type', { 'content-type': 'text/plain' }],
      ['an idempotency key that is too long', { 'webhook-id': 'x'.repeat(256) }],
    ] as const) {
      it(`answers 401 to a stranger, not what is wrong with ${what}`, async () => {
        api = await serveApi({ signature })
        await problemOf(await post(body, { 'content-type': 'application/json', ...headers }), 401, 'invalid_signature')
      })
    }

    it('answers 415 to another media type of a sender we know', async () => {
      api = await serveApi({ signature })
      await problemOf(await post(body, signed(body, { 'content-type': 'text/plain' })), 415, 'unsupported_media_type')
    })
  })

  it('says where a callback is kept', async () => {
    const accepted = { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'spooled', forecast: undefined } as const
    api = await serveApi({ inbox: { waitSeconds: 0, accept: async () => accepted } })
    const { durability } = (await (await post('{"object_ids":[1]}')).json()) as { durability: string }
    assert.equal(durability, 'spooled')
  })

  it('says when there may be room again, whatever is sent, and goes on with the connection', async () => {
    api = await serveApi({ inbox: { waitSeconds: 7, accept: () => assert.fail('it is asked for room first') } })
    for (const body of ['{"object_ids":[1]}', 'x'.repeat(50_000), '']) {
      const refused = await post(body)
      assert.equal(refused.headers.get('retry-after'), '7')
      assert.notEqual(refused.headers.get('connection'), 'close')
      await problemOf(refused, 503, 'overloaded')
    }
  })

  it('refuses for want of room alike before the app and in it, which only costs more', async () => {
    api = await serveApi({ inbox: { waitSeconds: 7, accept: () => assert.fail('it is asked for room first') } })
    const headers = { 'x-request-id': 'r1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' }
    const refuse = async (path: string): Promise<unknown> => {
      const response = await fetch(`${api.url}${path}`, { method: 'POST', headers })
      return [response.status, [...response.headers].filter(([name]) => name !== 'date'), await response.json()]
    }
    const early = await refuse('/callback')
    assert.deepEqual(early, await refuse('/callback?way=long'))
    assert.deepEqual(api.outcomes, ['overloaded', 'overloaded'])
    const labels = { method: 'POST', route: '/callback', status: 503 }
    await eventually('both are measured', () => api.measured.length === 2)
    assert.deepEqual(api.measured, [labels, labels])
  })

  it('answers everything else while there is no room', async () => {
    api = await serveApi({ inbox: { waitSeconds: 7, accept: () => assert.fail('it is asked for room first') } })
    assert.equal((await fetch(`${api.url}/livez`)).status, 200)
    await problemOf(await fetch(`${api.url}/callback`), 405, 'method_not_allowed')
  })

  it('answers 400 to an idempotency key over 255 characters', async () => {
    api = await serveApi()
    const response = await post('{"object_ids":[1]}', { 'content-type': 'application/json', 'idempotency-key': 'x'.repeat(256) })
    await problemOf(response, 400, 'invalid_idempotency_key')
  })

  for (const [error, status, code] of [
    [new IdempotencyKeyReusedError('other ids'), 422, 'idempotency_key_reused'],
    [new ValueRefusedError('x'), 422, 'value_refused'],
    [new OverloadedError('x'), 503, 'overloaded'],
    [new StorageUnavailableError('x'), 503, 'storage_unavailable'],
    [new TypeError('a secret of ours'), 500, 'internal_error'],
  ] as const) {
    it(`answers ${status} ${code} when the inbox says ${error.constructor.name}`, async () => {
      api = await serveApi({ inbox: { waitSeconds: 0, accept: () => Promise.reject(error) } })
      const response = await post('{"object_ids":[1]}')
      const problem = await problemOf(response, status, code)
      assert.equal(response.headers.get('retry-after'), status === 503 ? '1' : null)
      assert.ok(!JSON.stringify(problem).includes('secret'))
      assert.equal(
        api.logged.some(line => line.includes('a secret of ours')),
        status === 500,
      )
    })
  }

  it('takes over a sensible X-Request-ID and makes one where there is none', async () => {
    api = await serveApi()
    const headers = { 'content-type': 'application/json' }
    assert.equal((await post('{}', { ...headers, 'x-request-id': 'abc-1' })).headers.get('x-request-id'), 'abc-1')
    assert.match((await post('{}', { ...headers, 'x-request-id': 'a b' })).headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
    assert.match((await post('{}', headers)).headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
  })

  it('answers 503 shutting_down to what comes in when the port is closed already, and closes', async () => {
    api = await serveApi()
    const socket = connect(api.server.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('POST /callback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n')
    const stopped = api.stop()
    await eventually('the port is closed', () => api.server.shutdown.isClosed)
    socket.write('Content-Length: 18\r\n\r\n{"object_ids":[1]}')
    const answer = await text(socket)
    assert.match(answer, /^HTTP\/1.1 503 /)
    assert.match(answer, /^Connection: close\r$/m)
    assert.match(answer, /"code":"shutting_down"/)
    assert.deepEqual(api.accepted, [])
    await stopped
  })
})
