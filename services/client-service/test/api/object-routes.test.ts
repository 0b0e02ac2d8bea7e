import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { TestClientService } from './client-service.ts'

describe('GET /objects/:id', () => {
  let service: TestClientService

  beforeEach(async () => {
    service = new TestClientService()
    await service.start()
  })

  afterEach(() => service.stop())

  for (const [id, online] of [
    ['2', true],
    ['1', false],
    ['0', true],
    ['-3', false],
    ['9007199254740993', false],
    ['9223372036854775807', false],
    ['-9223372036854775808', true],
  ] as const) {
    it(`answers ${id} exactly`, async () => {
      const response = await service.fetch(`/objects/${id}`)
      assert.equal(response.status, 200)
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(await response.text(), `{"id":${id},"online":${online}}`)
    })
  }

  for (const id of ['abc', '1.5', '01', '9223372036854775808', '%00', '%2e%2e%2f', 'a'.repeat(1000)]) {
    it(`refuses ${id.slice(0, 20)} at once`, async () => {
      service.behave({ latency: { minMs: 60_000, maxMs: 60_000 } })
      const response = await service.fetch(`/objects/${id}`)
      const problem = (await response.json()) as { code: string; detail: string; request_id: string }
      assert.equal(response.status, 400)
      assert.equal(response.headers.get('content-type'), 'application/problem+json')
      assert.equal(problem.code, 'invalid_id')
      assert.equal(problem.request_id, response.headers.get('x-request-id'))
      assert.ok(problem.detail.length < 110)
    })
  }

  for (const [method, path, status, code] of [
    ['POST', '/objects/1', 405, 'method_not_allowed'],
    ['DELETE', '/', 405, 'method_not_allowed'],
    ['GET', '/objects', 404, 'not_found'],
    ['GET', '/Objects/1', 404, 'not_found'],
    ['GET', '/objects/1/', 404, 'not_found'],
    ['GET', '/READYZ', 404, 'not_found'],
    ['GET', '/objects/%zz', 400, 'invalid_path'],
  ] as const) {
    it(`answers ${method} ${path} with ${code}`, async () => {
      const response = await service.fetch(path, { method })
      assert.equal(response.status, status)
      assert.equal(((await response.json()) as { code: string }).code, code)
      if (status === 405) assert.equal(response.headers.get('allow'), 'GET, HEAD')
    })
  }

  it('answers GET / with its health', async () => {
    assert.deepEqual(await (await service.fetch('/')).json(), { status: 'ok', checks: {} })
  })

  it('waits for a random time', async () => {
    service.behave({ latency: { minMs: 0, maxMs: 200 } })
    service.random = () => 0.5
    const started = performance.now()
    await (await service.fetch('/objects/1')).text()
    // A timer may fire up to a millisecond early.
    assert.ok(performance.now() - started >= 99)
  })

  it('keeps nothing for a client that went away', async () => {
    service.behave({ latency: { minMs: 60_000, maxMs: 60_000 } })
    const client = new AbortController()
    const answer = service.fetch('/objects/1', { signal: client.signal })
    await eventually('the answer is held', () => service.held.count === 1)
    client.abort()
    await assert.rejects(answer)
    await eventually('the answer is let go', () => service.held.count === 0)
    assert.deepEqual(service.answers, [])
  })

  it('answers early when the service stops', async () => {
    service.behave({ latency: { minMs: 60_000, maxMs: 60_000 } })
    const answer = service.fetch('/objects/2')
    await eventually('the answer is held', () => service.held.count === 1)
    await service.stop()
    assert.deepEqual(await (await answer).json(), { id: 2, online: true })
  })
})
