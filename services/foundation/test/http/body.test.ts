import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { mock } from 'node:test'
import { readBody } from '../../http/body.ts'

const MAX_BYTES = 65_536

describe('readBody', () => {
  type TestRequest = IncomingMessage & PassThrough

  /** A request whose body is still to come. */
  function newRequest(headers: Record<string, string> = {}): TestRequest {
    const stream = new PassThrough({ highWaterMark: 4 * 1024 * 1024 })
    return Object.assign(stream, { headers, socket: new PassThrough() }) as unknown as TestRequest
  }

  /** A request whose body comes in chunks of so many bytes. */
  function requestOf(body: Buffer, chunkBytes: number, headers?: Record<string, string>): TestRequest {
    const request = newRequest(headers)
    for (let at = 0; at < body.length; at += chunkBytes) request.write(body.subarray(at, at + chunkBytes))
    request.end()
    return request
  }

  const listeners = (request: TestRequest): number =>
    ['data', 'end', 'error', 'close'].map(event => request.listenerCount(event)).reduce((sum, count) => sum + count)

  const body = Buffer.from('0123456789abcdef'.repeat(MAX_BYTES / 16))

  for (const chunkBytes of [MAX_BYTES, 40_000, 1000, 17, 16]) {
    it(`gives a body in chunks of ${chunkBytes} bytes as it was sent, in a buffer at most twice as large`, async () => {
      const read = await readBody(requestOf(body, chunkBytes), MAX_BYTES)
      assert.ok(read.equals(body))
      assert.ok(read.buffer.byteLength <= 2 * body.length, `${read.buffer.byteLength} bytes`)
    })
  }

  it('returns a small body in a small buffer', async () => {
    const read = await readBody(requestOf(body.subarray(0, 1000), 1), MAX_BYTES)
    assert.ok(read.equals(body.subarray(0, 1000)))
    assert.ok(read.buffer.byteLength <= 2000, `${read.buffer.byteLength} bytes`)
  })

  it('refuses thousands of chunks of one byte', async () => {
    await assert.rejects(readBody(requestOf(body, 1), MAX_BYTES), { code: 'bad_request', message: 'The chunks of the body are too small.' })
  })

  it('takes a body that comes in one chunk without copying it', async () => {
    assert.equal((await readBody(requestOf(body, MAX_BYTES), MAX_BYTES)).buffer, body.buffer)
  })

  it('copies what it has a few times only, in however many chunks it comes', async () => {
    const allocate = mock.method(Buffer, 'allocUnsafeSlow')
    try {
      await readBody(requestOf(body, 17), MAX_BYTES)
      assert.ok(allocate.mock.callCount() < 20, `${allocate.mock.callCount()} times`)
    } finally {
      allocate.mock.restore()
    }
  })

  it('takes 1,024 chunks more than one for every 16 bytes, and not another', async () => {
    const chunks = Array.from({ length: 1093 }, () => Buffer.from('x'))
    const send = (last: string): Promise<Buffer> => {
      const request = newRequest()
      for (const chunk of [...chunks.slice(1), Buffer.from(last)]) request.write(chunk)
      request.end()
      return readBody(request, MAX_BYTES)
    }
    // 1,093 = 1,024 + 1,104 / 16
    assert.equal((await send('x'.repeat(12))).length, 1104)
    await assert.rejects(send('x'.repeat(11)), { code: 'bad_request' })
  })

  it('has crumbs parsed no more, and their connection closed', async () => {
    const request = requestOf(body, 1)
    const { socket } = request as unknown as { socket: PassThrough }
    await assert.rejects(readBody(request, MAX_BYTES), { headers: { Connection: 'close' } })
    assert.equal(socket.readableFlowing, true)
  })

  it('refuses what is encoded, and takes what says that it is not', async () => {
    await assert.rejects(readBody(requestOf(body, MAX_BYTES, { 'content-encoding': 'gzip' }), MAX_BYTES), {
      code: 'unsupported_encoding',
      headers: { 'Accept-Encoding': 'identity' },
    })
    assert.ok((await readBody(requestOf(body, MAX_BYTES, { 'content-encoding': 'Identity' }), MAX_BYTES)).equals(body))
  })

  for (const [what, leave] of [
    ['goes away', request => request.destroy()],
    ['fails', request => request.destroy(new Error('reset'))],
  ] as [string, (request: TestRequest) => void][]) {
    it(`is refused when its sender ${what} in the middle of it`, async () => {
      const request = newRequest()
      request.write('half')
      const read = readBody(request, MAX_BYTES)
      leave(request)
      await assert.rejects(read, { code: 'bad_request', message: 'The request ended before its body did.' })
    })
  }

  it('leaves the request alone once it is read', async () => {
    const request = newRequest()
    const before = listeners(request)
    const read = readBody(request, MAX_BYTES)
    request.end('whole')
    await read
    assert.equal(listeners(request), before)
  })

  describe('of a body that takes long', () => {
    beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
    afterEach(() => mock.timers.reset())

    async function isSettled(read: Promise<unknown>): Promise<boolean> {
      let is = false
      const settle = (): void => {
        is = true
      }
      read.then(settle, settle)
      await new Promise(setImmediate)
      return is
    }

    it('waits for its end where it is not too large', async () => {
      const request = newRequest()
      const read = readBody(request, MAX_BYTES)
      request.write(body)
      await new Promise(setImmediate)
      mock.timers.tick(60_000)
      assert.equal(await isSettled(read), false)
      request.end()
      assert.ok((await read).equals(body))
    })

    const tooLarge = { code: 'body_too_large', headers: { Connection: 'close' }, message: 'A body may have at most 65536 bytes.' }

    it('says that it is too large when it ends, and not before', async () => {
      const request = newRequest()
      const read = readBody(request, MAX_BYTES)
      request.write(Buffer.alloc(MAX_BYTES + 1024 * 1024))
      await new Promise(setImmediate)
      mock.timers.tick(499)
      assert.equal(await isSettled(read), false)
      request.end()
      await assert.rejects(read, tooLarge)
    })

    it('keeps nothing of what is too much', async () => {
      const allocate = mock.method(Buffer, 'allocUnsafeSlow')
      try {
        const request = newRequest()
        const read = readBody(request, MAX_BYTES)
        request.write(body)
        for (let i = 0; i < 10; i += 1) request.write('more')
        request.end()
        await assert.rejects(read, tooLarge)
        assert.equal(allocate.mock.callCount(), 0)
      } finally {
        allocate.mock.restore()
      }
    })

    it('says that it is too large after half a second, though more comes all the time', async () => {
      const request = newRequest()
      const read = readBody(request, MAX_BYTES)
      request.write(Buffer.alloc(MAX_BYTES + 1))
      await new Promise(setImmediate)
      mock.timers.tick(400)
      request.write('more')
      await new Promise(setImmediate)
      mock.timers.tick(100)
      await assert.rejects(read, tooLarge)
    })

    it('says that it is too large at once when a mebibyte more has come', async () => {
      const request = newRequest()
      const read = readBody(request, MAX_BYTES)
      request.write(Buffer.alloc(MAX_BYTES + 1024 * 1024 + 1))
      await assert.rejects(read, tooLarge)
    })
  })
})
