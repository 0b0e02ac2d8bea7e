import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { TraceCarrier } from '#foundation/telemetry/spans.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { ACCEPTED_ID, sendRaw, serveApi } from './serve-api.ts'

const BODY = '{"object_ids":[1]}'
const POST = 'POST /callback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'

describe('the wire', () => {
  let api: Awaited<ReturnType<typeof serveApi>>

  beforeEach(async () => {
    api = await serveApi()
  })

  afterEach(async () => {
    const response = await fetch(`${api.url}/callback`, { method: 'POST', body: BODY, headers: { 'content-type': 'application/json' } })
    assert.equal(response.status, 202, 'the next request must work')
    await api.stop()
  })

  const refused: [string, string, number, string][] = [
    ['Content-Length with Transfer-Encoding', `${POST}Content-Length: 18\r\nTransfer-Encoding: chunked\r\n\r\n${BODY}`, 400, 'bad_request'],
    ['two Content-Lengths', `${POST}Content-Length: 18\r\nContent-Length: 19\r\n\r\n${BODY}`, 400, 'bad_request'],
    ['two Hosts', `POST /callback HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n`, 400, 'bad_request'],
    ['two Content-Types', `${POST}Content-Type: text/plain\r\nContent-Length: 18\r\nConnection: close\r\n\r\n${BODY}`, 400, 'bad_request'],
    [
      'two Idempotency-Keys',
      `${POST}Idempotency-Key: a\r\nidempotency-key: a\r\nContent-Length: 18\r\nConnection: close\r\n\r\n${BODY}`,
      400,
      'bad_request',
    ],
    [
      'two svix-signatures',
      `${POST}svix-signature: v1,a\r\nSvix-Signature: v1,b\r\nContent-Length: 18\r\nConnection: close\r\n\r\n${BODY}`,
      400,
      'bad_request',
    ],
    ['no Host', 'POST /callback HTTP/1.1\r\nContent-Length: 0\r\n\r\n', 400, 'bad_request'],
    ['a bad chunk', `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400, 'bad_request'],
    ['a body in crumbs', `${POST}Transfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(10_000)}`, 400, 'bad_request'],
    ['an obsolete line folding', 'POST /callback HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n', 400, 'bad_request'],
    ['bare line feeds', `POST /callback HTTP/1.1\nHost: x\nContent-Length: 0\n\n`, 400, 'bad_request'],
    ['an unknown method', 'BREW /callback HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
    ['a URL that is none', 'GET http://[::1/x HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
    ['a URL of another scheme', 'GET ftp://x HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['no HTTP at all', '\x16\x03\x01 hello\r\n\r\n', 400, 'bad_request'],
    ['headers over 16 KiB', `${POST}X-Big: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['an expectation nobody meets', `${POST}Expect: tea\r\nContent-Length: 18\r\n\r\n${BODY}`, 417, 'expectation_failed'],
    ['a path that cannot be decoded', 'GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 400, 'invalid_path'],
  ]
  for (const [what, bytes, status, code] of refused) {
    it(`answers ${status} ${code} to ${what}, with its ids, counts it once, and closes`, async () => {
      const answer = await sendRaw(api.server.port, [bytes])
      assert.equal(answer.status, status)
      assert.equal(answer.headers.get('content-type'), 'application/problem+json')
      const problem = JSON.parse(answer.body) as { code: string; request_id: string; operation_id: string }
      assert.equal(problem.code, code)
      assert.match(problem.operation_id, /^[0-9a-f]{32}$/)
      assert.match(problem.request_id, /^[0-9a-f-]{36}$/)
      assert.equal(problem.request_id, answer.headers.get('x-request-id'))
      assert.deepEqual(api.accepted, [])
      await eventually('it is counted', () => api.measured.length > 0)
      assert.deepEqual(
        api.measured.map(labels => labels.status),
        [status],
      )
    })
  }

  it('gives a pipelined callback nothing of the trace and the baggage of the one before', async () => {
    const traces: TraceCarrier[] = []
    const accepting = await serveApi({
      inbox: {
        waitSeconds: 0,
        accept: async ({ trace }) => {
          traces.push(trace)
          return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'database', forecast: undefined }
        },
      },
    })
    const theirs = 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nbaggage: token=secret\r\n'
    const callback = (headers: string): string => `${POST}Content-Length: ${BODY.length}\r\n${headers}\r\n${BODY}`
    await sendRaw(accepting.server.port, [callback(theirs) + callback('Connection: close\r\n')])
    await accepting.stop()
    const [first, second] = traces
    assert.deepEqual(
      [traces.length, first?.traceparent?.slice(3, 35), first?.baggage],
      [2, '0af7651916cd43dd8448eb211c80319c', 'token=secret'],
    )
    assert.notEqual(second?.traceparent?.slice(3, 35), '0af7651916cd43dd8448eb211c80319c')
    assert.equal(second?.baggage, undefined)
  })

  it('takes over the id and the trace of a request that it refuses by itself', async () => {
    const ids = 'X-Request-ID: r1\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n'
    for (const bytes of [`${POST}${ids}Expect: tea\r\n\r\n`, `CONNECT x:1 HTTP/1.1\r\nHost: x\r\n${ids}\r\n`]) {
      const answer = await sendRaw(api.server.port, [bytes])
      const { request_id, operation_id } = JSON.parse(answer.body) as { request_id: string; operation_id: string }
      assert.deepEqual([request_id, operation_id], ['r1', '0af7651916cd43dd8448eb211c80319c'])
    }
  })

  it('counts a callback with an expectation nobody meets among the callbacks', async () => {
    await sendRaw(api.server.port, [`${POST}Expect: tea\r\n\r\n`])
    assert.deepEqual(api.outcomes, ['expectation_failed'])
  })

  it('answers an http URL as its path', async () => {
    const answer = await sendRaw(api.server.port, ['GET http://x/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'])
    assert.equal(answer.status, 200)
  })

  it('takes a chunked body, and one after Expect: 100-continue', async () => {
    const chunked = await sendRaw(api.server.port, [
      `${POST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n12\r\n${BODY}\r\n0\r\n\r\n`,
    ])
    assert.equal(chunked.status, 202)
    const expecting = await sendRaw(api.server.port, [
      `${POST}Expect: 100-continue\r\nContent-Length: 18\r\nConnection: close\r\n\r\n`,
      BODY,
    ])
    assert.equal(expecting.status, 100)
    assert.match(expecting.body, /^HTTP\/1.1 202/)
  })

  it('answers each of several requests on one connection', async () => {
    const request = `${POST}Content-Length: 18\r\n`
    const answer = await sendRaw(api.server.port, [`${request}\r\n${BODY}${request}Connection: close\r\n\r\n${BODY}`])
    assert.equal(answer.status, 202)
    assert.match(answer.body, /HTTP\/1.1 202/)
  })

  it('survives a sender that goes away in the middle of its body', async () => {
    const socket = connect(api.server.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(`${POST}Content-Length: 18\r\n\r\n{"obj`, () => socket.resetAndDestroy())
    await once(socket, 'close')
    assert.deepEqual(api.accepted, [])
  })

  it('quotes no more than 64 characters of what was sent', async () => {
    const response = await fetch(`${api.url}/${'%3Cscript%3E'.repeat(100)}`)
    const { instance } = (await response.json()) as { instance: string }
    assert.equal(response.status, 404)
    assert.equal(instance.length, 64)
  })

  describe('what trickles', function () {
    this.timeout(20_000)
    const slow: [string, string[]][] = [
      ['an idle socket', []],
      ['headers that never end', ['POST /callback HTTP/1.1\r\nHost: x\r\n', 'X-A: 1\r\n', 'X-B: 2\r\n']],
      ['a held-open Content-Length', [`${POST}Content-Length: 18\r\n\r\n{"obj`]],
    ]
    it('gets 408 and is closed within 11 seconds, and nothing is stored when its rest comes after that', async () => {
      const tooLate = sendRestAfterAnswer(api.server.port)
      const answers = await Promise.all(slow.map(([, chunks]) => sendRaw(api.server.port, chunks)))
      for (const [i, answer] of answers.entries()) {
        assert.equal(answer.status, 408, slow[i]?.[0])
        assert.equal((JSON.parse(answer.body) as { code: string }).code, 'request_timeout')
        assert.ok(answer.tookMs < 11_000, `${slow[i]?.[0]}: ${answer.tookMs} ms`)
      }
      assert.match(await tooLate, /^HTTP\/1.1 408 /)
      assert.deepEqual(api.accepted, [])
      await eventually('all are counted', () => api.measured.length === slow.length + 1)
      assert.deepEqual([...new Set(api.measured.map(({ status }) => status))], [408])
      await eventually('callbacks are counted as such', () => api.outcomes.length === 2)
      assert.deepEqual(api.outcomes, ['request_timeout', 'request_timeout'])
    })
  })
})

/** Sends half a callback, and the other half when it was given up. @returns all that was answered */
async function sendRestAfterAnswer(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${POST}Content-Length: 18\r\n\r\n${BODY.slice(0, 5)}`)
  const answered = text(socket)
  socket.once('data', () => socket.write(BODY.slice(5)))
  return answered
}
