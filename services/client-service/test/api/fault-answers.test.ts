import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { eventually } from '../../../../test/support/eventually.ts'
import { type Faults, TestClientService } from './client-service.ts'

describe('a fault put into the answers', () => {
  let service: TestClientService

  beforeEach(async () => {
    service = new TestClientService()
    await service.start()
  })

  afterEach(() => service.stop())

  async function ask(faults: Faults): Promise<Response> {
    service.behave({ faults })
    return service.fetch('/objects/7', { signal: AbortSignal.timeout(5000) })
  }

  /** Sends a request whose connection must fail. @returns the error */
  async function askInVain(path: string): Promise<unknown> {
    const socket = connect(service.port, '127.0.0.1')
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const [error] = await once(socket, 'error')
    return (error as NodeJS.ErrnoException).code
  }

  it('makes it a 500', async () => {
    const response = await ask({ errorShare: 1 })
    assert.equal(response.status, 500)
    assert.equal(((await response.json()) as { code: string }).code, 'injected_error')
    assert.deepEqual(service.answers, ['error'])
  })

  it('does not affect objects that are not listed', async () => {
    assert.equal((await ask({ errorShare: 1, objectIds: '6,8..9' })).status, 200)
    assert.equal((await ask({ errorShare: 1, objectIds: '6..8' })).status, 500)
  })

  it('makes it a 429 with a Retry-After', async () => {
    const response = await ask({ tooManyRequestsShare: 1 })
    assert.equal(response.status, 429)
    assert.equal(response.headers.get('retry-after'), '3')
    assert.equal(((await response.json()) as { code: string }).code, 'too_many_requests')
  })

  it('makes it a 404', async () => {
    const response = await ask({ notFoundShare: 1 })
    assert.equal(response.status, 404)
    assert.equal(((await response.json()) as { code: string }).code, 'object_not_found')
  })

  it('makes it a 200 that is not JSON', async () => {
    const response = await ask({ garbageShare: 1 })
    assert.equal(response.status, 200)
    await assert.rejects(response.json(), SyntaxError)
  })

  it('makes it describe another object', async () => {
    const response = await ask({ wrongIdShare: 1 })
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), { id: 6, online: true })
  })

  it('makes it a reset', async () => {
    service.behave({ faults: { resetShare: 1 } })
    assert.equal(await askInVain('/objects/7'), 'ECONNRESET')
  })

  it('makes it hang until the client gives up', async () => {
    service.behave({ faults: { hangShare: 1 } })
    const client = new AbortController()
    const answer = service.fetch('/objects/7', { signal: client.signal })
    await eventually('it hangs', () => service.answers.length === 1 && service.held.count === 1)
    client.abort()
    await assert.rejects(answer)
    await eventually('nothing hangs', () => service.held.count === 0)
  })

  it('makes it drip without end', async () => {
    const response = await ask({ dripShare: 1 })
    assert.equal(response.status, 200)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    for (let i = 0; i < 3; i += 1) assert.match(new TextDecoder().decode((await reader.read()).value), /^ +$/)
    assert.equal(service.held.count, 1)
    await reader.cancel()
    await eventually('nothing drips', () => service.held.count === 0)
  })

  it('does not keep the service from stopping', async () => {
    service.behave({ faults: { hangShare: 1 } })
    const hanging = service.fetch('/objects/7')
    await eventually('it hangs', () => service.answers.length === 1 && service.held.count === 1)
    await Promise.all([assert.rejects(hanging), service.stop()])
  })

  it('affects only its share', async () => {
    service.behave({ faults: { errorShare: 0.25 } })
    const numbers = [0, 0.2, 0, 0.3]
    service.random = () => numbers.shift() as number
    assert.equal((await service.fetch('/objects/7')).status, 500)
    assert.equal((await service.fetch('/objects/7')).status, 200)
  })

  describe('down', () => {
    it('resets every request, health included, and ends with the switch', async () => {
      service.behave({ faults: { down: true } })
      for (const path of ['/', '/readyz', '/objects/7', '/nowhere']) assert.equal(await askInVain(path), 'ECONNRESET')
      service.behave({})
      assert.equal((await service.fetch('/')).status, 200)
    })

    it('resets what waits for its answer', async () => {
      service.behave({ latency: { minMs: 60_000, maxMs: 60_000 } })
      const waiting = askInVain('/objects/7')
      await eventually('it waits', () => service.held.count === 1)
      service.behave({ faults: { down: true } })
      service.held.release()
      assert.equal(await waiting, 'ECONNRESET')
    })
  })
})
